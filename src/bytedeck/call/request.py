"""Composing one upstream request from what the caller sent, the task and the candidate.

What the caller sent goes through untouched and in the caller's order; the task's
parameters fill absent fields only, and only those that the model takes (promise P10).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, json
from msgspec.structs import replace

from ..errors import InvalidRequest
from ..types import (
    Ask,
    Candidate,
    Fault,
    Message,
    Plan,
    Reply,
    Request,
    ToolCall,
    ToolCallPart,
)
from . import compact, local_shape
from .bound import CAPS, caps, is_whole, with_ceiling
from .family import own_details
from .patience import may_stream
from .tongues import go_on
from .voice import FRESH, Uptake

CHAT = "/chat/completions"
MAX_STOPS = 4
MAX_SCHEMA_NAME = 64

# Ours to decide, so never the caller's own values: the chain, and whether we read a stream.
_OURS = frozenset({"model", "models", "messages", "stream"})
# What is spent is an estimate: an answer that is nearly at its cap may still end its sentence.
_LEAST_LEFT = 64
# Under a budget that is nearly spent an answer is cut short, but not to less than some paragraphs.
_LEAST_ANSWER = 256
# A prompt has fewer tokens than half its bytes, base64 and the like left aside.
_BYTES_A_TOKEN = 2
_REASONING = frozenset({"reasoning", "reasoning_effort", "include_reasoning"})


class Amends(Struct, frozen=True, gc=False):
    """Changes with which a request is sent once more (wire reference, letter M); each happens once."""

    done: frozenset[str] = frozenset()
    cap: int | None = None
    left_out: int = 0
    """How many of the oldest messages are not sent."""


class Composed(Struct, frozen=True, gc=False):
    """A request, and what has to be known of it."""

    request: Request
    held: bool
    """Whether its answer has to be held until it is whole (`local_shape`)."""
    cap: int | None
    """The most tokens that an answer can have (`output_cap`)."""


AS_IS = Amends()


def compose(ask: Ask, plan: Plan, candidate: Candidate, amends: Amends, uptake: Uptake = FRESH) -> Composed:
    """The request for one attempt, which may have to take up a broken answer.

    Raises InvalidRequest for what JSON cannot say.
    """
    messages, params = _messages(ask, plan, candidate, amends), ask.params
    body: dict[str, Any] = {"model": candidate.model, "messages": messages}
    if params:
        body |= {name: value for name, value in params.items() if name not in _OURS}
    filled = _defaults(ask, plan, candidate) if plan.defaults else {}
    body |= filled
    if amends.cap is not None:  # under whatever name the task had its own
        body = {name: value for name, value in body.items() if name not in CAPS}
        body["max_tokens"] = amends.cap
    if uptake.way in ("prefill", "echo"):
        _take_up(messages, uptake)
        body |= _what_is_left(body, uptake)
    if "no_reasoning_field" in amends.done:
        body = {name: value for name, value in body.items() if name not in _REASONING}
    body["stream"] = "plugins" not in params or may_stream(params, candidate.route)
    if plan.is_bound:
        body = with_ceiling(_with_cap(body, candidate), candidate)
    held = False
    if candidate.route == "local":
        body = local_shape.shape(body)
        held = local_shape.is_shaped(body)
    request = Request(
        route=candidate.route,
        path=CHAT,
        body=_encode(body),
        headers=(("accept", "text/event-stream"), *ask.headers),
        connect_timeout=plan.timeouts.connect,
    )
    return Composed(request, held, _cap(params, filled, amends))


def beginning(ask: Ask, candidate: Candidate) -> Amends:
    """What is changed from the start, because the model is known to refuse it: reasoning switched off (ERR-14)."""
    if candidate.info is None or not candidate.info.reasoning_mandatory:
        return AS_IS
    wanted = ask.params.get("reasoning")
    is_off = ask.params.get("reasoning_effort") == "none" or (
        isinstance(wanted, Mapping) and (wanted.get("enabled") is False or wanted.get("effort") == "none")
    )
    return Amends(frozenset({"no_reasoning_field"})) if is_off else AS_IS


def amended(
    amends: Amends, name: str, fault: Fault, ask: Ask, plan: Plan, candidate: Candidate
) -> Amends | None:
    """The next request's changes, or None where this change is not ours to make or was made before."""
    if not name or name in amends.done:
        return None
    done = amends.done | {name}
    if name == "user_turn" and ask.messages[-1].get("role") != "assistant":
        return None  # nothing was to be gone on with: the refusal is a riddle, and a turn of ours another question
    if name == "compacted":
        sent = compact.without(ask.messages, amends.left_out)
        found = shortened(amends, ask, compact.after(fault.message, sent)) if plan.policy.compact else None
        return None if found is None else replace(found, done=done)
    if name not in ("more_tokens", "affordable_tokens"):
        return replace(amends, done=done)
    cap = _defaults(ask, plan, candidate).get("max_tokens")
    if cap is None:  # the caller's own cap, or none: not ours to change
        return None
    if name == "more_tokens":
        most = candidate.info.max_completion_tokens if candidate.info else None
        return replace(amends, done=done, cap=min(cap * 4, most or cap * 4))
    afford = int((fault.affordable_tokens or 0) * 0.9)
    return replace(amends, done=done, cap=min(cap, afford)) if afford else None


def shortened(amends: Amends, ask: Ask, most: int) -> Amends | None:
    """The same without more of the oldest messages, so that `most` bytes are left; None where none can go."""
    found = compact.compact(compact.without(ask.messages, amends.left_out), most)
    return None if found is None else replace(amends, left_out=amends.left_out + found.left_out)


def output_cap(ask: Ask, plan: Plan, candidate: Candidate, amends: Amends) -> int | None:
    """The most tokens that an answer can have by what is sent; None: nothing bounds it."""
    return _cap(ask.params, _defaults(ask, plan, candidate), amends)


def _cap(params: Mapping[str, Any], filled: Mapping[str, Any], amends: Amends) -> int | None:
    """`output_cap`, where it is known what the task has `filled` in."""
    if not params and not filled:
        return amends.cap
    given = caps(params)
    if not given and amends.cap is not None:
        return amends.cap
    return max(filter(is_whole, given or caps(filled)), default=None)


def affordable(
    ask: Ask,
    plan: Plan,
    candidate: Candidate,
    amends: Amends,
    worst: Callable[[int], int | None],
    units: int,
) -> Amends | None:
    """The same with the largest cap whose worst case costs at most so many units.

    None where the cap is the caller's own, where no cap helps, or where fewer than `_LEAST_ANSWER` tokens are left.
    """
    info, most = candidate.info, output_cap(ask, plan, candidate, amends)
    if most is None and info is not None:
        most = info.max_completion_tokens or info.context_length
    takes = None if info is None else info.supported_parameters
    if most is None or caps(ask.params):
        return None
    if takes is not None and takes.isdisjoint(CAPS):
        return None

    def is_too_dear(cap: int) -> bool:
        cost = worst(cap)
        return cost is None or cost > units

    cap = bisect_left(range(1, most + 1), True, key=is_too_dear)
    return replace(amends, cap=cap) if cap >= _LEAST_ANSWER else None


def check(ask: Ask) -> None:
    """Refuse what the wire's own rules refuse, before anything is sent (wire reference 3). Raises InvalidRequest."""
    for header, text in ask.headers:
        if not _is_header(header, text):
            raise InvalidRequest(
                f"The header {header!r} cannot be sent: line breaks and other signs stand in it."
            )
    if not ask.messages:
        raise InvalidRequest("There is nothing to ask: the list of messages is empty.")
    if ask.params:
        _check_fields(ask.params)


def _check_fields(params: Mapping[str, Any]) -> None:
    stop = params.get("stop")
    if isinstance(stop, (list, tuple)) and len(stop) > MAX_STOPS:
        raise InvalidRequest(f"stop takes at most {MAX_STOPS} texts, and there are {len(stop)}.")
    for cap in CAPS:
        most = params.get(cap)
        if isinstance(most, int) and most < 1:
            raise InvalidRequest(f"{cap} has to be 1 at least, and is {most!r}.")
    wanted = params.get("response_format")
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    name = schema.get("name") if isinstance(schema, dict) else None
    if isinstance(name, str) and len(name) > MAX_SCHEMA_NAME:
        raise InvalidRequest(
            f"A json_schema's name has at most {MAX_SCHEMA_NAME} characters, this one {len(name)}."
        )


def _is_header(name: object, value: object) -> bool:
    """Whether both are text that stays one line of Latin-1."""
    if not (isinstance(name, str) and isinstance(value, str) and name):
        return False
    return all(" " <= sign <= "\xff" or sign == "\t" for sign in name + value) and ":" not in name


def unheld(reply: Reply, call_id: str) -> Reply:
    """A held answer's JSON read back into words or tool calls; as it is where it was cut."""
    said = local_shape.unshape(reply.text, call_id)
    if said is None:
        return reply
    reason = "tool_calls" if said.tool_calls else reply.finish_reason
    return replace(reply, text=said.text, tool_calls=said.tool_calls, finish_reason=reason)


def parts(calls: tuple[ToolCall, ...]) -> tuple[ToolCallPart, ...]:
    """Whole tool calls as the pieces in which a stream would have brought them: one each."""
    return tuple(ToolCallPart(c.index, c.id, c.name, c.arguments, c.type) for c in calls)


def _take_up(messages: list[Message], uptake: Uptake) -> None:
    """The conversation ends with what the caller was shown of the answer that broke off."""
    # Blanks at the end are refused by some, and lost by others.
    messages.append(_turn_so_far(messages, uptake.said.rstrip()))
    if uptake.way == "echo":
        messages.append({"role": "user", "content": go_on(uptake.said, uptake.echo)})


def _turn_so_far(messages: list[Message], said: str) -> Message:
    """The assistant's turn with these words; a beginning that the caller gave it is taken off the messages into it."""
    if messages[-1].get("role") != "assistant" or messages[-1].get("tool_calls"):
        return {"role": "assistant", "content": said}
    given = messages.pop()
    content = given.get("content")
    if isinstance(content, list | tuple):
        return {**given, "content": [*content, {"type": "text", "text": said}]}
    return {**given, "content": f"{content or ''}{said}"}


def _what_is_left(body: Mapping[str, Any], uptake: Uptake) -> dict[str, int]:
    """The caps of an answer of which a part is written already; the echo comes on top."""
    echo = len(uptake.echo.encode()) // 2
    # A cap has to be larger than what is set aside for thinking, which is done once more.
    wanted = body.get("reasoning")
    thinking = wanted.get("max_tokens") if isinstance(wanted, Mapping) else None
    least = _LEAST_LEFT + (thinking if isinstance(thinking, int) else 0)
    return {
        name: min(cap, max(least, cap - uptake.spent + echo))
        for name in CAPS
        if isinstance(cap := body.get(name), int)
    }


def _messages(ask: Ask, plan: Plan, candidate: Candidate, amends: Amends) -> list[Message]:
    sent = compact.without(ask.messages, amends.left_out) if amends.left_out else ask.messages
    messages = own_details(sent, candidate, plan)
    if "no_reasoning_details" in amends.done:
        messages = [{k: v for k, v in m.items() if k != "reasoning_details"} for m in messages]
    if "user_turn" in amends.done:
        # The model wants a user's turn last. The conversation's language is not known here, so no words.
        messages.append({"role": "user", "content": "…"})
    if plan.system:
        messages.insert(0, {"role": "system", "content": plan.system})
    return messages


def _defaults(ask: Ask, plan: Plan, candidate: Candidate) -> dict[str, Any]:
    """The task's parameters that the caller left open and that the model takes."""
    takes = candidate.info.supported_parameters if candidate.info else None
    most = candidate.info.max_completion_tokens if candidate.info else None
    filled = {}
    for name, value in plan.defaults.items():
        if name in ask.params or (name in CAPS and any(cap in ask.params for cap in CAPS)):
            continue
        if takes is not None and name not in takes:
            continue
        filled[name] = min(value, most) if most and name in CAPS else value
    return filled


def _with_cap(body: dict[str, Any], candidate: Candidate) -> dict[str, Any]:
    """Under a bound on cost the longest answer that we reckon with is made the longest one allowed, if none is."""
    info = candidate.info
    if info is None or candidate.route == "local" or caps(body):
        return body
    most, takes = info.max_completion_tokens or info.context_length, info.supported_parameters
    if most is None or (takes is not None and takes.isdisjoint(CAPS)):
        return body
    if info.context_length is not None:  # prompt and cap together have to fit
        most = min(most, info.context_length - len(_encode(body)) // _BYTES_A_TOKEN)
    return {**body, "max_tokens": most} if most > 0 else body


_encoder = json.Encoder(decimal_format="number")


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return _encoder.encode(body)
    except (TypeError, ValueError, RecursionError) as exc:
        # ValueError holds UnicodeEncodeError: a lone surrogate cannot be sent.
        raise InvalidRequest(f"The request cannot be written as JSON: {exc}.") from exc
