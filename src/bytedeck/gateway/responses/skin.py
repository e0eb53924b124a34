"""The Responses API, as OpenAI's and OpenRouter's clients speak it (wire reference 6.5 and 9). Pure.

Nothing is stored, so a call carries its whole conversation. `request.py` reads a call,
`output.py` gathers the items of an answer, `events.py` tells them while they come.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ByteError
from ...types import Delta, Reply, ToolCallPart
from ..call import Call, Identity, Teller
from ..parts import encode, error_of
from .events import Events
from .names import names
from .object import finished
from .output import Output, status_of
from .request import read


class Responses:
    """`Skin` of POST /responses.

    `truncation` "auto" stands in `Call.echo`: it is the caller's leave to shorten a prompt that is too long.
    """

    heartbeat = b": byte\n\n"

    def read(self, body: bytes) -> Call:
        """Raises InvalidRequest for what is no call, or needs what was stored, with a sentence that names the field."""
        return read(body)

    def whole(self, call: Call, reply: Reply, identity: Identity) -> bytes:
        """An answer that was not asked to stream: made of the same items as a stream of it."""
        output = Output(identity.request, names(call.echo))
        for delta in _deltas(reply):
            output.add(delta)
        status = status_of(reply.finish_reason)
        output.close(status)
        return encode(finished(call, reply, identity, status, output))

    def teller(self, call: Call, identity: Identity) -> Teller:
        """Who tells a streamed answer."""
        return Events(call, identity)

    def refusal(self, error: ByteError, identity: Identity) -> bytes:
        """An error before anything was told, as the JSON body."""
        return encode({"error": error_of(error)})


def _deltas(reply: Reply) -> Iterator[Delta]:
    """A whole answer as the deltas of its stream."""
    yield Delta(reasoning=reply.reasoning, reasoning_details=reply.reasoning_details)
    yield Delta(
        text=reply.text, refusal=reply.refusal, annotations=reply.annotations, logprobs=reply.logprobs
    )
    calls = [ToolCallPart(one.index, one.id, one.name, one.arguments, one.type) for one in reply.tool_calls]
    yield Delta(images=reply.images, tool_calls=tuple(calls))
