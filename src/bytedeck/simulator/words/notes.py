"""What of a turn's directives came to nothing, and why: for the author of a test. Changes no answer."""

from __future__ import annotations

from collections.abc import Iterator

from ..shapes import Call, Model
from . import toolcalls
from .conversation import Turns

_MOST = 8


def unheard(call: Call, model: Model, turns: Turns, *, calls: bool, is_json: bool) -> tuple[str, ...]:
    """One phrase for each. `calls`, `is_json`: whether the answer is calls of functions, or JSON by its format."""
    found = [*turns.misread, *_tools(call, model, turns), *_thoughts(model, turns)]
    found += _words(turns, calls=calls, is_json=is_json)
    left = len(found) - _MOST
    return (*found[:_MOST], *((f"and {left} more",) if left > 0 else ()))


def _tools(call: Call, model: Model, turns: Turns) -> Iterator[str]:
    """After a tool's result the same turn is answered again, and its directive is over."""
    names = turns.asked.names
    if turns.after_tool or not (names or turns.asked.tools):
        return
    offered = [function["name"] for function in toolcalls.functions(call, model)]
    missing = [name for name in names if name not in offered]
    if not call.tools:
        yield "tools: the request offers none"
    elif not offered:
        yield f"tools: none of those offered is a function that {model.id} can call"
    elif call.tool_choice == "none" or toolcalls.named(call.tool_choice):
        yield "tools: the request's tool_choice goes first"
    elif missing:
        yield f"tools: {', '.join(missing)[:80]} was not offered, but {', '.join(offered)[:120]}"


def _thoughts(model: Model, turns: Turns) -> Iterator[str]:
    if turns.asked.reasoning and model.reasoning is None:
        yield f"reasoning: {model.id} does not think"


def _words(turns: Turns, *, calls: bool, is_json: bool) -> Iterator[str]:
    """What was to be said, where something else is."""
    asked = turns.asked
    lengths = {"words": asked.words, "tokens": asked.tokens}
    texts = {"say": asked.say, "refusal": asked.refusal}
    told = [key for key, value in (texts | lengths).items() if value is not None]
    if calls and told:
        yield f"{', '.join(told)}: a function is called instead"
    elif is_json and asked.say is None and asked.refusal is None and told:
        yield f"{', '.join(told)}: the answer is JSON, as the request's response_format has it"
