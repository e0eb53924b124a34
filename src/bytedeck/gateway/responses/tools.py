"""Tools of the Responses API → chat's. Pure.

Chat knows functions and the upstream's own tools. A `custom` tool takes free text: it becomes a function of one text,
and its calls are told as custom ones again. Tools that OpenAI runs, or that only this API has, are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ...errors import InvalidRequest
from .names import joined
from .said import a_list, a_text, an_object, json_text, refuse

Found = dict[str, Any]

_INPUT = "input"
_FUNCTION = ("name", "description", "parameters", "strict")
_OWN_PREFIX = "openrouter:"
_SEARCHES = ("web_search", "web_search_preview", "web_search_preview_2025_03_11", "web_search_2025_08_26")
"""Short names of `openrouter:web_search` (wire reference 3.2)."""
_NOT_IN_CHAT = ("openrouter:apply_patch", "openrouter:shell", "openrouter:tool_search")


def tools(value: object, found: Found) -> Found:
    """Those that the model may call: `allowed_tools` narrows them. None at all are better not told."""
    told = [
        made for place, one in enumerate(a_list("tools", value)) for made in _tools(f"tools[{place}]", one)
    ]
    allowed = _allowed(found.get("tool_choice"))
    if allowed is not None:
        told = [one for one in told if _mark(one) in allowed]
    return {"tools": told} if told else {}


def choice(value: object, found: Found) -> Found:
    """Where there is no tool, a choice that asks for none says nothing, and some upstreams refuse it."""
    if isinstance(value, str):
        return {} if value in ("auto", "none") and not found.get("tools") else {"tool_choice": value}
    wanted = an_object("tool_choice", value)
    kind = a_text("tool_choice.type", wanted.get("type"))
    if kind in ("function", "custom"):
        name = joined(wanted.get("namespace"), a_text("tool_choice.name", wanted.get("name")))
        return {"tool_choice": {"type": "function", "function": {"name": name}}}
    if kind == "allowed_tools":
        return {"tool_choice": a_text("tool_choice.mode", wanted.get("mode"))}
    if kind in _SEARCHES:
        return {"tool_choice": {"type": "openrouter:web_search"}}
    if _is_served(kind):
        return {"tool_choice": wanted}
    raise InvalidRequest(f"tool_choice is of the type {kind!r}, {_ADVICE}")


def parallel(value: object, found: Found) -> Found:
    """It says something of tools only."""
    return {"parallel_tool_calls": value} if found.get("tools") else {}


def echoed(given: Iterable[Found]) -> list[Found]:
    """The tools as an answer repeats them: functions with all their fields."""
    usual = {"description": None, "parameters": None, "strict": None}
    return [{**usual, **one} if one["type"] == "function" else one for one in given]


def arguments(said: str) -> str:
    """A custom tool's input as its function's arguments."""
    return json_text({_INPUT: said})


def said(arguments: str) -> str:
    """The arguments of a custom tool's function as its input; as they are where the model wrote something else."""
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    words = found.get(_INPUT) if isinstance(found, dict) else None
    return words if isinstance(words, str) else arguments


_ADVICE = (
    "which cannot be served: tools are functions, custom tools, namespaces of them, web_search and OpenRouter's own "
    "(openrouter:…)."
)


def _tools(name: str, found: object) -> Iterator[Found]:
    """A tool, or those of a namespace."""
    tool = an_object(name, found)
    if tool.get("type") != "namespace":
        yield _tool(name, tool)
        return
    called, words = a_text(f"{name}.name", tool.get("name")), tool.get("description") or ""
    for place, one in enumerate(a_list(f"{name}.tools", tool.get("tools"))):
        where = f"{name}.tools[{place}]"
        if an_object(where, one).get("type") not in ("function", "custom"):
            raise refuse(f"{where}.type", one.get("type"), "function or custom")
        made = _tool(where, one)
        yield made | {"function": _within(called, a_text(f"{name}.description", words), made["function"])}


def _within(namespace: str, words: str, function: Found) -> Found:
    """A function of a namespace: chat has no other place for what is said of all of them."""
    told = "\n\n".join(filter(None, (words, function.get("description"))))
    return function | {"name": joined(namespace, function["name"])} | ({"description": told} if told else {})


def _tool(name: str, tool: Found) -> Found:
    kind = a_text(f"{name}.type", tool.get("type"))
    if kind == "function":
        return _function(name, tool)
    if kind == "custom":
        return _custom(name, tool)
    if _is_served(kind):
        return tool
    raise InvalidRequest(f"{name} is of the type {kind!r}, {_ADVICE}")


def _is_served(kind: str) -> bool:
    return kind in _SEARCHES or (kind.startswith(_OWN_PREFIX) and kind not in _NOT_IN_CHAT)


def _function(name: str, tool: Found) -> Found:
    """Its own fields lie one level deeper in chat, others beside them."""
    a_text(f"{name}.name", tool.get("name"))
    own = {key: tool[key] for key in _FUNCTION if tool.get(key) is not None}
    beside = {key: value for key, value in tool.items() if key not in _FUNCTION and key != "type"}
    return {"type": "function", "function": own, **beside}


def _custom(name: str, tool: Found) -> Found:
    """A function of one text; a grammar that the text has to follow is told in words."""
    called = a_text(f"{name}.name", tool.get("name"))
    wanted = tool.get("format")
    words = tool.get("description") or ""
    if isinstance(wanted, dict) and wanted.get("type") == "grammar":
        grammar = wanted.get("definition")
        words = f"{words}\n\nThe input follows this {wanted.get('syntax')} grammar:\n{grammar}".strip()
    parameters = {
        "type": "object",
        "properties": {_INPUT: {"type": "string"}},
        "required": [_INPUT],
        "additionalProperties": False,
    }
    about = {"description": words} if words else {}
    return {"type": "function", "function": {"name": called, **about, "parameters": parameters}}


def _allowed(wanted: object) -> set[tuple[str, str]] | None:
    """The marks of the tools that a choice allows; None: all of them."""
    if not isinstance(wanted, dict) or wanted.get("type") != "allowed_tools":
        return None
    given = a_list("tool_choice.tools", wanted.get("tools"))
    if not given:
        raise refuse("tool_choice.tools", given, "a list of tools")
    return {_mark(_named(f"tool_choice.tools[{place}]", one)) for place, one in enumerate(given)}


def _named(name: str, found: object) -> Found:
    """A tool as it is named, by its kind and name only."""
    tool = an_object(name, found)
    if a_text(f"{name}.type", tool.get("type")) not in ("function", "custom"):
        return tool
    called = joined(tool.get("namespace"), a_text(f"{name}.name", tool.get("name")))
    return {"type": "function", "function": {"name": called}}


def _mark(tool: Found) -> tuple[str, str]:
    return tool["type"], tool["function"]["name"] if tool["type"] == "function" else ""
