"""A kept answer told once more: what it is made of, when it may be kept, and its words as a stream would have
brought them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from ...config import Config
from ...events import Started
from ...types import Ask, Attempt, Delta, Plan, Reply, ToolCallPart, Usage

PIECE = 400
"""Characters of text in one delta."""

_WHOLE = frozenset({"stop", "tool_calls"})
# Fields of a request that change how an answer is told, and not the answer.
_OF_TELLING = frozenset({"stream_options", "usage", "session_id"})
# Fields in which the order is part of the question: a schema's properties are answered in their order.
_IN_ORDER = frozenset({"tools", "functions", "response_format", "structured_outputs"})
# Headers likewise: what sticks to a provider, and the upstream's own cache.
_OF_THE_WAY = ("x-session-id", "x-openrouter-cache")

_sorted = msgspec.json.Encoder(order="sorted", decimal_format="number")
_encoder = msgspec.json.Encoder(decimal_format="number")
# Numbers with a point stay the decimals that they were, in what we do not know the type of.
_decoder = msgspec.json.Decoder(Reply, float_hook=Decimal)


def key_of(ask: Ask, plan: Plan, config: Config) -> bytes:
    """What has to be the same for two requests of one tenant to have the same answer, as 32 bytes.

    The order of fields, the protocol and whether it is streamed do not count; whoever asks, the task with its prompt,
    and who would answer do.
    """
    task = config.tasks.get(plan.task)
    told: dict[str, Any] = {
        # With the moment at which the key was made: who is given a name anew is somebody else.
        "tenant": (ask.caller.name, ask.caller.created) if ask.caller is not None else "",
        "messages": ask.messages,
        "named": ask.models,
        "models": sorted(one.model for one in plan.candidates),
        "task": msgspec.to_builtins(task) if task is not None else None,
        "params": {
            name: _asked(name, value) for name, value in ask.params.items() if name not in _OF_TELLING
        },
        "headers": sorted(one for one in ask.headers if not one[0].startswith(_OF_THE_WAY)),
        "compact": plan.policy.compact,
    }
    return sha256(_sorted.encode(told)).digest()


def _asked(name: str, value: Any) -> Any:
    """A field's value, in a form in which equal ones are equal."""
    return _encoder.encode(value).decode() if name in _IN_ORDER else value


def is_worth_keeping(reply: Reply) -> bool:
    """Whether an answer is whole and of one piece: what was cut, filtered or joined is nothing to be told again."""
    return reply.finish_reason in _WHOLE and not reply.seams


def written(reply: Reply) -> bytes:
    """An answer as it is kept: without what was only so this time."""
    return (
        _encoder.encode(replace(reply, attempts=(), notes=(), id="", headers=()))
        + b"\n"
        + _cost(reply).encode()
    )


def read(value: bytes) -> tuple[Reply, str] | None:
    """A kept answer, and what it cost in USD ("" where that is not known); None where it cannot be read any more."""
    told, _, cost = value.rpartition(b"\n")
    try:
        return _decoder.decode(told), f"{Decimal(cost.decode('ascii')):f}" if cost else ""
    except (
        msgspec.MsgspecError,
        ValueError,
        ArithmeticError,
        RecursionError,
    ):  # UnicodeError is a ValueError
        return None


def free(reply: Reply, request: str) -> Reply:
    """The answer as a request is told it that asked nobody: its tokens, and no cost."""
    told = Attempt(model=reply.requested_model, outcome="answered", cost_units=0, quality="reported")
    return replace(
        reply,
        id=request,
        usage=_unpaid(reply.usage),
        attempts=(told,),
        notes=(),
        first_token=None,
        seconds=0.0,
    )


def unpaid(reply: Reply, request: str) -> Reply:
    """What there is of an answer that failed, as a request is told it that paid none of its attempts."""
    attempts = tuple(replace(one, cost_units=0, quality="reported") for one in reply.attempts)
    return replace(reply, id=request, usage=_unpaid(reply.usage), attempts=attempts)


def _unpaid(usage: Usage | None) -> Usage | None:
    if usage is None:
        return None
    return replace(usage, cost_units=0, cost_text="0", upstream_units=None, is_byok=False)


def deltas(reply: Reply) -> Iterator[Delta]:
    """An answer in the order in which models give it."""
    yield Delta(event=Started(model=reply.requested_model or reply.model, attempt=1))
    if reply.reasoning or reply.reasoning_details:
        yield Delta(reasoning=reply.reasoning, reasoning_details=reply.reasoning_details)
    for at in range(0, len(reply.text), PIECE):
        yield Delta(text=reply.text[at : at + PIECE])
    rest = Delta(
        refusal=reply.refusal,
        annotations=reply.annotations,
        images=reply.images,
        audio=(reply.audio,) if reply.audio is not None else (),
        logprobs=reply.logprobs,
    )
    if rest != Delta():
        yield rest
    for call in reply.tool_calls:
        yield Delta(tool_calls=(ToolCallPart(call.index, call.id, call.name, call.arguments, call.type),))


def _cost(reply: Reply) -> str:
    return f"{reply.cost:f}" if reply.cost is not None else ""
