"""Tools of Anthropic's protocol → tools of a chat: a client's own become functions, a server's what OpenRouter has for it.

Anthropic-defined tools that a client runs itself (bash, the text editor) have their schema in the model: any other model
is told it as a function of the same name, so that the client cannot tell the difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InvalidRequest
from .checks import Block, flag, kind, refuse, text, thing, things

_DATED = re.compile(r"([a-z][a-z0-9_]*)_\d{8}")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}

_SERVED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "web_search": (
        "openrouter:web_search",
        {
            "max_uses": "max_uses",
            "allowed_domains": "allowed_domains",
            "blocked_domains": "excluded_domains",
            "user_location": "user_location",
        },
    ),
    "web_fetch": (
        "openrouter:web_fetch",
        {
            "max_uses": "max_uses",
            "allowed_domains": "allowed_domains",
            "blocked_domains": "blocked_domains",
            "max_content_tokens": "max_content_tokens",
        },
    ),
    "advisor": ("openrouter:advisor", {"model": "model"}),
}
"""Name of Anthropic's server tool → OpenRouter's, and what its parameters are called there."""

_STRING = {"type": "string"}
_WHOLE = {"type": "integer"}


def _schema(required: Sequence[str], **properties: Any) -> Block:
    return {"type": "object", "properties": properties, "required": list(required)}


_EDITOR = _schema(
    ("command", "path"),
    command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
    path={"type": "string", "description": "Path to the file or directory"},
    view_range={"type": "array", "items": _WHOLE, "description": "First and last line to view, from 1"},
    file_text={"type": "string", "description": "For create: the content of the file"},
    old_str={"type": "string", "description": "For str_replace: the text to replace, exactly as it stands"},
    new_str={"type": "string", "description": "For str_replace and insert: the new text"},
    insert_line={"type": "integer", "description": "For insert: the line after which to insert"},
    insert_text={"type": "string", "description": "For insert: the text to insert"},
)
_CLIENTS: Mapping[str, tuple[str, Block]] = {
    "bash": (
        "Run commands in a bash shell that keeps its state between calls.",
        _schema(
            (),
            command={"type": "string", "description": "The command to run; needed unless restarting"},
            restart={"type": "boolean", "description": "Whether to restart the shell"},
        ),
    ),
    "text_editor": ("View, create and edit text files.", _EDITOR),
    "memory": (
        "Keep notes in files below /memories, and read them again.",
        _schema(
            ("command",),
            command={
                "type": "string",
                "enum": ["view", "create", "str_replace", "insert", "delete", "rename"],
            },
            **dict.fromkeys(("path", "file_text", "old_str", "new_str", "insert_text"), _STRING),
            **dict.fromkeys(("old_path", "new_path"), _STRING),
            insert_line=_WHOLE,
            view_range={"type": "array", "items": _WHOLE},
        ),
    ),
}
"""Name of a tool that the client runs → its description and schema, after Anthropic's documentation."""

_OF_CUSTOM = frozenset({"type", "name", "description", "input_schema", "strict"})
_OF_DATED = frozenset({"type", "name", "strict"})


def chat_tools(found: object) -> list[Block]:
    """The `tools` of a body. Raises InvalidRequest for a tool that nobody here can run."""
    return [_tool(tool, f"tools[{at}]") for at, tool in enumerate(things(found, "tools"))]


def chat_choice(found: object) -> Block:
    """The `tool_choice` of a body → `tool_choice` and `parallel_tool_calls` of a chat."""
    choice = thing(found, "tool_choice")
    what = kind(choice, "tool_choice")
    told: Block
    if what == "tool":
        told = {"tool_choice": _named(text(choice.get("name"), "tool_choice.name"))}
    elif what in _CHOICES:
        told = {"tool_choice": _CHOICES[what]}
    else:
        raise refuse("tool_choice.type", f"has to be one of {', '.join(_CHOICES)}, tool")
    single = choice.get("disable_parallel_tool_use")
    if single is not None:
        told["parallel_tool_calls"] = not flag(single, "tool_choice.disable_parallel_tool_use")
    return told


def _named(name: str) -> Block:
    """A server's tool is chosen by its type, a client's by its name."""
    if name in _SERVED:
        return {"type": _SERVED[name][0]}
    return {"type": "function", "function": {"name": name}}


def _tool(tool: Block, where: str) -> Block:
    if "input_schema" in tool:
        return _custom(tool, where)
    what = kind(tool, where)
    dated = _DATED.fullmatch(what)
    if dated is None and what != "mcp_toolset":
        return tool  # OpenRouter's own, or what is newer than we are
    name = dated[1] if dated else what
    if name in _SERVED:
        return _served(tool, *_SERVED[name])
    if name in _CLIENTS:
        return _clients(tool, where, *_CLIENTS[name])
    raise InvalidRequest(
        f"{where}.type: {what!r} is run by Anthropic's own servers and is not offered here. "
        f"Offered are {', '.join((*_SERVED, *_CLIENTS))}, and tools with an input_schema."
    )


def _custom(tool: Block, where: str) -> Block:
    """What a function has no place for (marks for the cache and the like) stands beside it."""
    function: Block = {"name": text(tool.get("name"), f"{where}.name")}
    if tool.get("description") is not None:
        function["description"] = text(tool["description"], f"{where}.description")
    function["parameters"] = thing(tool["input_schema"], f"{where}.input_schema")
    return _function(tool, function, _OF_CUSTOM)


def _clients(tool: Block, where: str, description: str, schema: Block) -> Block:
    name = text(tool.get("name"), f"{where}.name")
    return _function(tool, {"name": name, "description": description, "parameters": schema}, _OF_DATED)


def _function(tool: Block, function: Block, told: frozenset[str]) -> Block:
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    rest = {key: value for key, value in tool.items() if key not in told and value is not None}
    return {"type": "function", "function": function, **rest}


def _served(tool: Block, theirs: str, names: Mapping[str, str]) -> Block:
    parameters = {ours: tool[key] for key, ours in names.items() if tool.get(key) is not None}
    return {"type": theirs, "parameters": parameters} if parameters else {"type": theirs}
