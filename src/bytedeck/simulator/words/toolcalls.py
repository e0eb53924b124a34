"""Which of a request's functions are called, and with what: a decision that follows from the seed and the words.

`required`, a function named by `tool_choice` and a directive are obeyed. Left to itself, the model calls when the
user's turn names a function or a word of its description, else every second time; never after a tool's result.
"""

from __future__ import annotations

import json
import re
import string
from typing import Any

from ..shapes import Call, Model, Piece
from . import language as words
from . import schema
from .conversation import Turns

_ALPHABET = string.ascii_letters + string.digits
_WORD = re.compile(r"[^\W\d_]{5,}")
_COMMON = frozenset(
    ("about", "after", "other", "which", "would", "could", "should", "their", "there", "these", "those")
)
_MOST = 16


def functions(call: Call, model: Model) -> list[dict[str, Any]]:
    """What may be called; nothing on a model that knows no tools, where OpenRouter drops them."""
    if "tools" not in model.parameters:
        return []
    told = (tool.get("function") for tool in call.tools if tool.get("type", "function") == "function")
    return [function for function in told if isinstance(function, dict) and function.get("name")]


def chosen(call: Call, model: Model, turns: Turns, seed: str) -> list[dict[str, Any]]:
    """The functions to call now, in order; one may stand there twice."""
    offered = functions(call, model)
    choice = call.tool_choice
    if not offered or choice == "none" or (turns.prefilled and choice in (None, "auto")):
        return []
    if wish := named(choice):
        picked = [function for function in offered if function["name"] == wish][:1]
    elif not turns.after_tool and (turns.asked.names or turns.asked.tools is not None):
        picked = _directed(offered, turns.asked)
    else:
        wanted = turns.asked.finish == "tool_calls" and not turns.after_tool
        picked = _own(offered, turns, seed, must=wanted or choice in ("required", "any"))
    return picked[:1] if call.body.get("parallel_tool_calls") is False else picked


def named(choice: Any) -> str:
    """The function that a `tool_choice` names, or ""."""
    if not isinstance(choice, dict):
        return ""
    function = choice.get("function")
    return str((function if isinstance(function, dict) else choice).get("name") or "")


def _directed(offered: list[dict[str, Any]], asked: words.Directives) -> list[dict[str, Any]]:
    if asked.names:
        known = {function["name"]: function for function in offered}
        return [known[name] for name in asked.names if name in known]
    return [offered[at % len(offered)] for at in range(min(asked.tools or 0, _MOST))]


def _own(offered: list[dict[str, Any]], turns: Turns, seed: str, *, must: bool) -> list[dict[str, Any]]:
    chance = words.stream("tools", seed, turns.key)
    if turns.after_tool and not must:
        return []
    prompt = turns.user.lower()
    by_name = [function for function in offered if function["name"].lower() in prompt]
    if by_name:
        return by_name[:_MOST]
    told = set(_WORD.findall(prompt)) - _COMMON
    by_words = [
        each for each in offered if told & set(_WORD.findall(str(each.get("description", "")).lower()))
    ]
    if by_words or must or chance.random() < 0.5:
        return [chance.choice(by_words or offered)]
    return []


def mark(model: Model, name: str, at: int, seed: str) -> str:
    """A call's id in the style of the model's maker."""
    chance = words.stream("call", seed, model.id, name, at)
    rest = "".join(chance.choice(_ALPHABET) for _ in range(24))
    if model.reasoning_format == "google-gemini-v1":
        return f"tool_{at}_{name}_{rest[:12]}"
    return f"toolu_01{rest[:22]}" if model.native_stop == "end_turn" else f"call_{rest}"


def _drawn(function: dict[str, Any], turns: Turns, seed: str, at: int) -> str:
    """Arguments that fit the function's schema."""
    wanted = function.get("parameters") or {"type": "object"}
    value = schema.sample(wanted, seed, turns.key, function["name"], at)
    # Arguments are an object, whatever the schema's root says.
    return json.dumps(value if isinstance(value, dict) else {}, ensure_ascii=False)


def pieces(functions: list[dict[str, Any]], model: Model, turns: Turns, seed: str) -> list[Piece]:
    """The calls in parts: first the name, then the arguments token by token."""
    told: list[Piece] = []
    for at, function in enumerate(functions):
        name = function["name"]
        arguments = words.split(turns.asked.arguments or _drawn(function, turns, seed, at))
        opening = {"index": at, "id": mark(model, name, at, f"{seed}{turns.key}"), "name": name}
        told.append(Piece("tool", "", words.count(name), opening))
        told += [Piece("tool", part, 1, {"index": at}) for part in arguments]
    return told
