"""Chat completions, as OpenAI's and OpenRouter's clients speak them (wire reference 3 to 6). Pure.

Nothing has to be translated: what a client sends is what goes upstream, in its order and with its numbers as it
wrote them. `events.py` tells an answer while it comes.
"""

from __future__ import annotations

from typing import Any

from ...errors import ByteError, InvalidRequest
from ...types import Message, Reply, ToolCall
from ..body import brief, object_of
from ..call import Call, Identity, Teller
from ..parts import about, encode, error_of, id_of
from .events import Chunks

_READ_HERE = frozenset({"model", "models", "messages", "stream"})


class ChatCompletions:
    """`Skin` of POST /chat/completions.

    OpenRouter answers with one choice whatever `n` says, and always tells the usage whatever `stream_options`
    says; so do we.
    """

    heartbeat = b": byte\n\n"

    def read(self, body: bytes) -> Call:
        """Raises InvalidRequest for what is no call, with a sentence that names the field."""
        found = object_of(body)
        streamed = found.get("stream")
        if not isinstance(streamed, bool | None):
            raise InvalidRequest(f"stream is {brief(streamed)}, and has to be true or false.")
        return Call(
            messages=_messages(found.get("messages")),
            models=_models(found.get("model"), found.get("models")),
            params={name: value for name, value in found.items() if name not in _READ_HERE},
            streamed=bool(streamed),
        )

    def whole(self, call: Call, reply: Reply, identity: Identity) -> bytes:
        """An answer that was not asked to stream, as the JSON body."""
        choice = {
            "index": 0,
            "finish_reason": reply.finish_reason,
            "native_finish_reason": reply.native_finish_reason or reply.finish_reason,
            "logprobs": {"content": reply.logprobs, "refusal": None} if reply.logprobs else None,
            "message": _message(reply),
        }
        body = {
            "id": id_of(identity),
            "object": "chat.completion",
            "created": identity.created,
            "model": reply.model,
            "system_fingerprint": reply.system_fingerprint or None,
            "choices": [choice],
            **about(reply),
        }
        return encode(body)

    def teller(self, call: Call, identity: Identity) -> Teller:
        """Who tells a streamed answer."""
        return Chunks(call, identity)

    def refusal(self, error: ByteError, identity: Identity) -> bytes:
        """An error before anything was told, as the JSON body."""
        return encode({"error": error_of(error)})


def _call(call: ToolCall) -> dict[str, Any]:
    """A whole tool call."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": call.type, "function": function}


def _message(reply: Reply) -> dict[str, Any]:
    has_words = reply.text or not (reply.tool_calls or reply.refusal or reply.audio)
    told: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text if has_words else None,
        "refusal": reply.refusal or None,
        "reasoning": reply.reasoning or None,
    }
    if reply.reasoning_details:
        told["reasoning_details"] = reply.reasoning_details
    if reply.tool_calls:
        told["tool_calls"] = [_call(call) for call in reply.tool_calls]
    if reply.annotations:
        told["annotations"] = reply.annotations
    if reply.images:
        told["images"] = reply.images
    if reply.audio is not None:
        told["audio"] = reply.audio
    return told


def _messages(found: object) -> tuple[Message, ...]:
    if not isinstance(found, list) or not found:
        what = "missing" if found is None else brief(found)
        raise InvalidRequest(f"messages is {what}, and has to be a list of messages.")
    for place, message in enumerate(found):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequest(
                f"messages[{place}] is {brief(message)}, and has to be an object with a role."
            )
    return tuple(found)


def _models(first: object, others: object) -> tuple[str, ...]:
    """`model` and then `models`, each once: our chain, however long."""
    if first is not None and not isinstance(first, str):
        raise InvalidRequest(f"model is {brief(first)}, and has to be a model's name.")
    if others is None:
        return (first,) if first else ()
    if not isinstance(others, list) or not all(isinstance(one, str) and one for one in others):
        raise InvalidRequest(f"models is {brief(others)}, and has to be a list of models' names.")
    return tuple(dict.fromkeys((first, *others) if first else others))
