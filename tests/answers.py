"""What a test's upstream may answer: bytes, pauses and breaks, and good OpenRouter answers ready-made.

It knows OpenRouter's shapes (wire reference, sections 4–6) and nothing of ours.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

MODEL = "openai/gpt-4o-mini"

# Costs are decimals and must reach the wire with the digits that the test wrote.
_encode = msgspec.json.Encoder(decimal_format="number").encode
_generations = itertools.count(1)


@dataclass(frozen=True)
class Pause:
    """Say nothing for so many seconds, but notice when the client leaves."""

    seconds: float


@dataclass(frozen=True)
class Reset:
    """Drop the connection with a RST."""


@dataclass(frozen=True)
class Hang:
    """Say nothing until the client leaves, or the server stops."""


@dataclass(frozen=True)
class End:
    """Close the connection politely (FIN) right here, be the HTTP body finished or not."""


@dataclass(frozen=True)
class Raw:
    """Bytes past the chunked framing: garbage where a chunk's size should stand."""

    data: bytes


Step: TypeAlias = bytes | Pause | Reset | Hang | End | Raw


@dataclass(frozen=True)
class Answer:
    """One response. Every bytes step is one write, and one HTTP chunk where `chunked`.

    `before_headers` is carried out first: a `Hang` there is "accepted and never answered". With
    `chunked=False` a Content-Length is sent, or with `until_close` neither: the body ends with the
    connection. A Content-Length among `headers` is taken as it is, be it a lie.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    chunked: bool = True
    until_close: bool = False
    before_headers: tuple[Step, ...] = ()

    @property
    def body(self) -> bytes:
        """The bytes of the body, joined."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    def then(self, *steps: Step) -> Answer:
        """The same, and afterwards these steps."""
        return replace(self, steps=self.steps + steps)

    def first(self, *steps: Step) -> Answer:
        """The same, with these steps before the headers."""
        return replace(self, before_headers=steps)

    def cut(self, at: int, *steps: Step) -> Answer:
        """The first `at` bytes of the body in one write, then these steps."""
        return replace(self, steps=((self.body[:at],) if at else ()) + steps)

    def sliced(self, size: int) -> Answer:
        """The same body in writes of `size` bytes."""
        body = self.body
        return replace(self, steps=tuple(body[at : at + size] for at in range(0, len(body), size)))

    def paced(self, seconds: float) -> Answer:
        """The same, with a pause before every step but the first."""
        pairs = ((Pause(seconds), step) for step in self.steps)
        return replace(self, steps=tuple(itertools.chain.from_iterable(pairs))[1:])


def sse(*events: Mapping[str, Any] | str) -> bytes:
    """Events as server-sent events: a mapping is JSON, a string goes as it is (`[DONE]`)."""
    return b"".join(b"data: %b\n\n" % (e.encode() if isinstance(e, str) else _encode(e)) for e in events)


def chunk(
    delta: Mapping[str, Any] | None = None,
    *,
    finish: str | None = None,
    model: str = MODEL,
    generation: str = "gen-1790000000-chunk",
    **more: Any,
) -> dict[str, Any]:
    """One `chat.completion.chunk`; without `delta` its `choices` are empty."""
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": finish,
        "native_finish_reason": finish,
        "logprobs": None,
    }
    return {
        "id": generation,
        "provider": "OpenAI",
        "model": model,
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "choices": [] if delta is None else [choice],
        "system_fingerprint": None,
    } | more


def usage_of(text: str, cost: str | Decimal = "0.000042", **more: Any) -> dict[str, Any]:
    """A `usage` object: 7 tokens in, one token a word out, and the cost with just these digits."""
    tokens = len(pieces(text))
    return {
        "prompt_tokens": 7,
        "completion_tokens": tokens,
        "total_tokens": 7 + tokens,
        "cost": Decimal(cost),
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
        "cost_details": {"upstream_inference_cost": None},
    } | more


def pieces(text: str) -> list[str]:
    """The text cut before each space: joined they are the text again."""
    return re.findall(r"\s*\S+|\s+\Z", text)


def words(
    text: str = "Hello there.",
    *,
    model: str = MODEL,
    usage: Mapping[str, Any] | Literal["auto"] | None = "auto",
    finish: str | None = "stop",
    done: bool = True,
    generation: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> Answer:
    """A good stream, a write an event: comment, role, a chunk a word, finish, usage, `[DONE]`.

    `finish=None`, `usage=None` and `done=False` leave out the end, piece by piece.
    """
    generation = generation or f"gen-1790000000-{next(_generations):08d}"

    def event(delta: Mapping[str, Any] | None, **more: Any) -> bytes:
        return sse(chunk(delta, model=model, generation=generation, **more))

    steps = [b": OPENROUTER PROCESSING\n\n", event({"role": "assistant", "content": ""})]
    steps += [event({"content": piece}) for piece in pieces(text)]
    if finish is not None:
        steps.append(event({"content": ""}, finish=finish))
    if usage is not None:
        steps.append(event(None, usage=usage_of(text) if usage == "auto" else usage))
    if done:
        steps.append(sse("[DONE]"))
    return Answer(headers=(*_stream_headers(generation), *headers), steps=tuple(steps))


def events(*data: Mapping[str, Any] | str | bytes, generation: str = "gen-1790000000-events") -> Answer:
    """A stream of just these events, a write each; bytes go as they are."""
    steps = tuple(item if isinstance(item, bytes) else sse(item) for item in data)
    return Answer(headers=_stream_headers(generation), steps=steps)


def _stream_headers(generation: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Type", "text/event-stream"), ("X-Generation-Id", generation))


def whole(body: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """A JSON response in one piece, with its length."""
    kind = ("Content-Type", "application/json")
    return Answer(status=status, headers=(kind, *headers), steps=(_encode(body),), chunked=False)


def completion(text: str = "Hello there.", *, model: str = MODEL, **more: Any) -> Answer:
    """What comes where no stream was asked for."""
    generation = f"gen-1790000000-{next(_generations):08d}"
    message = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "native_finish_reason": "stop",
        "logprobs": None,
    }
    body = {
        "id": generation,
        "provider": "OpenAI",
        "model": model,
        "object": "chat.completion",
        "created": 1790000000,
        "choices": [choice],
        "system_fingerprint": None,
        "usage": usage_of(text),
    }
    return whole(body | more, headers=[("X-Generation-Id", generation)])


def error(
    status: int,
    code: int | str | None = None,
    message: str = "Something went wrong",
    *,
    headers: Iterable[tuple[str, str]] = (),
    availability: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> Answer:
    """OpenRouter's error envelope (wire reference 6.1); `code` is the status unless given."""
    told: dict[str, Any] = {"code": status if code is None else code, "message": message}
    if metadata:
        told["metadata"] = metadata
    if availability:
        told["availability"] = availability
    return whole({"error": told, "user_id": "user_test"}, status, headers)


def listed(id: str, prompt: str = "0.00000015", completion: str = "0.0000006", **more: Any) -> dict[str, Any]:  # noqa: A002
    """One model object of `/models`; prices are USD per token, as strings."""
    name = id.lstrip("~")
    return {
        "id": id,
        "canonical_slug": name,
        "name": name.split("/")[-1].replace("-", " ").title(),
        "created": 1780000000,
        "context_length": 128000,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
        },
        "pricing": {"prompt": prompt, "completion": completion, "request": "0"},
        "top_provider": {"context_length": 128000, "max_completion_tokens": 16384, "is_moderated": False},
        "supported_parameters": ["max_tokens", "temperature", "tools", "tool_choice", "response_format"],
        "per_request_limits": None,
    } | more


CATALOGUE: tuple[dict[str, Any], ...] = (
    listed(MODEL),
    listed("anthropic/claude-sonnet-4.5", "0.000003", "0.000015", context_length=1000000),
    listed(
        "~anthropic/claude-sonnet-latest", "0.000003", "0.000015", alias_target="anthropic/claude-sonnet-4.5"
    ),
    listed("google/gemini-3-pro", "0.00000125", "0.00001", reasoning={"mandatory": True}),
    listed("meta-llama/llama-3.3-70b-instruct:free", "0", "0", context_length=65536),
    listed("openrouter/auto", "-1", "-1", context_length=2000000, supported_parameters=[]),
)
"""A small catalogue: a fixed price, an alias, mandatory reasoning, a free one, a dynamic price."""
