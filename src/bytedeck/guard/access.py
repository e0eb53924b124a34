"""What a virtual key may use: which tasks and models, for how long, and what a key can be at all.

A model that is asked by way of another counts as well. Whatever could name one unseen (a preset, a plugin or a tool with
models of its own) is closed to a key that may not use them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from ..callers import Caller
from ..config.names import CALLER_NAME, without_keys
from ..errors import AuthenticationFailed, InvalidRequest, PermissionRefused
from ..types import Ask, Candidate
from .rules import fits

_MOST_TEXT, _MOST_NAMES = 200, 200
_LONGEST_CACHE = 31 * 86_400
_END = 253_402_300_800_000_000
"""The year 10,000, in microseconds since 1970: no calendar of ours goes so far."""
_ANOTHER = "Ask whoever runs the gateway for another one."

_PLUGINS = frozenset(
    {"context-compression", "file-parser", "moderation", "response-healing", "web", "web-fetch"}
)
"""OpenRouter's plugins that ask no other model (wire reference 3.7)."""
_TOOLS = frozenset(
    {
        "apply_patch",
        "bash",
        "browser_use",
        "code_interpreter",
        "custom",
        "datetime",
        "file_search",
        "files",
        "function",
        "memory",
        "mcp",
        "shell",
        "text_editor",
        "tool_search",
        "web_fetch",
        "web_search",
    }
)
"""Kinds of tools that ask no other model, whoever runs them."""
_PLAIN = frozenset({bool, float, int, str, type(None)})
"""Values with nothing in them."""
_DATED = re.compile(r"_(?:20[0-9]{6}|preview)$")
_OWN_WORDS = frozenset({"metadata", "response_format", "text", "tools", "plugins"})
"""Fields in which `model` is a word of the caller's own, and those that are looked through by themselves."""


def digest(secret: str) -> str:
    """What is kept of a secret: it is 256 random bits, so nothing slower than SHA-256 is needed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def check(caller: Caller, now: int) -> None:
    """Raise AuthenticationFailed where the key is not accepted any more. `now`: microseconds since 1970."""
    state = caller.state(now)
    if state == "revoked":
        raise AuthenticationFailed(f"The key {caller.name} was revoked.", hint=(_ANOTHER,))
    if state == "expired":
        raise AuthenticationFailed(f"The key {caller.name} has expired.", hint=(_ANOTHER,))


def admit(caller: Caller | None, model: str, task: str = "") -> None:
    """Raise PermissionRefused where the key may not ask this model (the id that goes upstream) for this task."""
    if caller is None:
        return
    admit_role(caller)
    if task:
        admit_task(caller, task)
    admit_named(caller, model)
    if not may_use(caller, model):
        raise _refused(caller, model)


def may_use(caller: Caller | None, model: str, target: str = "") -> bool:
    """Whether the key may use a model, by its id; `target`: the one that an alias of OpenRouter's stands for.

    A variant (`:free`, `:nitro`) shares the permission of its model. A preset may hold models of its own: it needs a
    pattern that names it. An alias such as `~author/x-latest` needs its target's, its own, or all of the author's.
    """
    if caller is None or _is_open(caller.models):
        return True
    if "@" in model:
        return any("@" in pattern and fits(pattern, model) for pattern in caller.models)
    base = model.partition(":")[0]
    names = {model, base, *({target} if target else ())}
    author = base[1:].partition("/")[0] + "/*" if base.startswith("~") else None
    return any(pattern == author or any(fits(pattern, name) for name in names) for pattern in caller.models)


def may_task(caller: Caller | None, task: str) -> bool:
    """Whether the key may name a task, by its canonical name."""
    return caller is None or not caller.tasks or task in caller.tasks


def admit_role(caller: Caller | None) -> None:
    """Raise PermissionRefused for a key that asks no model at all."""
    if caller is not None and caller.role == "admin":
        raise PermissionRefused(
            f"The key {caller.name} is for administration, and asks no model.",
            hint=("Make one that does with: byte keys create NAME",),
        )


def admit_task(caller: Caller | None, task: str) -> None:
    """Raise PermissionRefused where the key may not name this task."""
    if caller is not None and not may_task(caller, task):
        raise PermissionRefused(
            f"The key {caller.name} may not use the task {task}.", hint=_may(caller.tasks)
        )


def admit_named(caller: Caller | None, model: str) -> None:
    """Raise PermissionRefused where a model is named to a key that may use tasks, and no model besides theirs."""
    if caller is not None and caller.tasks and not caller.models:
        raise PermissionRefused(
            f"The key {caller.name} may use tasks only, and {model} is no task.",
            hint=_may([f"byte/{task}" for task in caller.tasks]),
        )


def admitted(caller: Caller | None, chain: tuple[Candidate, ...], notes: list[str]) -> tuple[Candidate, ...]:
    """Those of a chain that the key may use, in order; the others go into the notes. Raises PermissionRefused where
    none is left.

    An alias of OpenRouter's that may be used for its target's sake is asked by that name: by the time that the request
    arrives the alias may stand for another one.
    """
    if caller is None or _is_open(caller.models):
        return chain
    found: dict[str, Candidate] = {}
    for one in chain:
        allowed = _admitted(caller, one)
        if allowed is None:
            notes.append(f"{one.model} is skipped: the key {caller.name} may not use it.")
        else:
            found.setdefault(allowed.model, allowed)
    if not found:
        raise _refused(caller, *(one.model for one in chain))
    return tuple(found.values())


def _admitted(caller: Caller, one: Candidate) -> Candidate | None:
    if may_use(caller, one.model):
        return one
    target = (one.info.alias_target or "") if one.info else ""
    if not one.model.startswith("~") or "@" in one.model or not may_use(caller, one.model, target):
        return None
    _, mark, variant = one.model.partition(":")
    return replace(one, model=target + mark + variant)


def admit_request(ask: Ask) -> None:
    """Raise PermissionRefused for a key that asks no model, and for a field by which a request could reach a model that
    its key may not use."""
    caller = ask.caller
    if caller is None:
        return
    admit_role(caller)
    if _is_open(caller.models) and not caller.tasks:
        return
    params = ask.params
    if params.get("preset"):
        raise _closed(caller, "a preset")
    for tool in _items(params.get("tools")):
        _admit_tool(caller, tool)
    for plugin in _items(params.get("plugins")):
        _admit_plugin(caller, plugin)
    for name, value in params.items():
        if name not in _OWN_WORDS and (_is_model(name) or type(value) not in _PLAIN):
            _admit_inside(caller, {name: value})


def _admit_tool(caller: Caller, tool: Any) -> None:
    kind = tool.get("type", "function") if isinstance(tool, Mapping) else tool
    if not isinstance(kind, str) or _DATED.sub("", kind.removeprefix("openrouter:")) not in _TOOLS:
        raise _closed(caller, f"the tool {str(kind)[:_MOST_TEXT]}")
    if kind not in ("function", "custom"):
        _admit_inside(caller, tool)


def _admit_plugin(caller: Caller, plugin: Any) -> None:
    name = plugin.get("id") if isinstance(plugin, Mapping) else plugin
    is_off = isinstance(plugin, Mapping) and plugin.get("enabled") is False
    if not is_off and (not isinstance(name, str) or name not in _PLUGINS):
        raise _closed(caller, f"the plugin {str(name)[:_MOST_TEXT]}")
    _admit_inside(caller, plugin)


def _admit_inside(caller: Caller, value: Any) -> None:
    """Whatever is called a model in it has to be one that the key may use."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            left.extend(one.values())
            for name, inner in one.items():
                if _is_model(name):
                    _admit_ids(caller, inner)
        elif isinstance(one, list | tuple):
            left.extend(one)


def _is_model(name: str) -> bool:
    return name in ("model", "models") or name.endswith(("_model", "_models"))


def _admit_ids(caller: Caller, said: Any) -> None:
    for model in _items(said):
        if isinstance(model, str):
            admit(caller, model)


def _items(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _is_open(patterns: Sequence[str]) -> bool:
    return not patterns or "*" in patterns


def _may(names: Iterable[str]) -> tuple[str, ...]:
    return (f"It may use: {', '.join(names)}.",)


def _refused(caller: Caller, *models: str) -> PermissionRefused:
    which = models[0] if len(models) == 1 else f"any of {', '.join(models)}"
    return PermissionRefused(f"The key {caller.name} may not use {which}.", hint=_may(caller.models))


def _closed(caller: Caller, what: str) -> PermissionRefused:
    return PermissionRefused(
        f"The key {caller.name} may use some models only, and {what} may ask others.",
        hint=_may(caller.models or caller.tasks),
    )


# -- what a key can be -----------------------------------------------------------------------------


def checked(caller: Caller, now: int) -> Caller:
    """The caller, if it can be one. Raises InvalidRequest that says what was expected. `now`: microseconds since 1970."""
    if not CALLER_NAME.fullmatch(caller.name):
        raise InvalidRequest(
            "A key's name is 1 to 64 small letters, digits, dots, dashes and underscores, begins with a letter or a digit,"
            " and not with sk-."
        )
    _check_words("owner", (caller.owner,))
    for what in ("tags", "models", "tasks"):
        _check_words(what, getattr(caller, what))
    if any((one.scope, one.of) != ("key", caller.name) for one in caller.budgets):
        raise InvalidRequest(f"A budget of the key {caller.name} has to be for that key.")
    periods = [one.period for one in caller.budgets]
    if twice := next((one for one in periods if periods.count(one) > 1), None):
        raise InvalidRequest(f"A key has one budget for each period, and this one has two: {twice}.")
    if not 0 <= caller.cache <= _LONGEST_CACHE:
        raise InvalidRequest("Answers are kept for 0 to 31 days.")
    if caller.expires is not None and caller.expires <= now:
        raise InvalidRequest("The moment from which the key expires is in the past.")
    if caller.expires is not None and caller.expires >= _END:
        raise InvalidRequest("The key expires after the year 9999: it never does.")
    return caller


def _check_words(what: str, words: Sequence[str]) -> None:
    if len(words) > _MOST_NAMES or any(len(word) > _MOST_TEXT or not word.isprintable() for word in words):
        raise InvalidRequest(
            f"The {what} of a key are at most {_MOST_NAMES} texts of up to {_MOST_TEXT} signs that can be printed."
        )
    if any(without_keys(word) != word for word in words):
        whose = "The owner" if what == "owner" else f"One of the {what}"
        raise InvalidRequest(f"{whose} looks like an API key.")
    if what != "owner" and not all(map(str.strip, words)):
        raise InvalidRequest(f"One of the {what} is empty.")
