"""A body of the Responses API → a `Call` in chat's terms: what differs is translated, all else is as it came. Pure.

What refers to things that somebody stored is refused, as OpenRouter refuses it: nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InvalidRequest
from ..body import object_of
from ..call import Call
from . import tools
from .input import messages
from .said import a_list, a_text, an_object, refuse

Found = dict[str, Any]

_READ_HERE = frozenset({"model", "models", "input", "instructions", "stream"})

_STORED = {
    "previous_response_id": "send the whole conversation as input",
    "conversation": "send the whole conversation as input",
    "prompt": "send the prompt's own words as instructions and input",
}
"""Fields that name what was stored, and what to do instead."""

_STORING = {
    "store": "leave it out, or say false",
    "background": "an answer is told while it comes, or as a whole",
}

_MEANS_NOTHING = frozenset(
    {*_STORED, *_STORING, "stream_options", "truncation", "text", "reasoning", "tools", "tool_choice"}
    | {"parallel_tool_calls", "include", "max_output_tokens", "max_tool_calls", "metadata", "user"}
    | {"temperature", "top_p", "top_k", "top_logprobs", "presence_penalty", "frequency_penalty"}
    | {"service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_options"}
    | {"prompt_cache_retention", "moderation"}
)
"""Fields of this API whose null is as good as their absence; to some of chat's it would be an error."""

_ECHOED: Mapping[str, Any] = {
    "background": False,
    "frequency_penalty": 0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "store": False,
    "temperature": 1,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1,
    "truncation": "disabled",
    "user": None,
}
"""What an answer repeats of its request, and what stands there when the request says nothing."""


def read(body: bytes) -> Call:
    """Raises InvalidRequest for what is no call, with a sentence that names the field."""
    found = object_of(body)
    _refuse_what_is_stored(found)
    streamed = found.get("stream")
    if not isinstance(streamed, bool | None):
        raise refuse("stream", streamed, "true or false")
    return Call(
        messages=messages(found.get("instructions"), found.get("input")),
        models=_models(found.get("model"), found.get("models")),
        params=_params(found),
        streamed=bool(streamed),
        echo=_echo(found),
    )


def _refuse_what_is_stored(found: Found) -> None:
    for name, instead in _STORED.items():
        if found.get(name) is not None:
            raise InvalidRequest(f"{name} names something stored, and nothing is stored here: {instead}.")
    for name, instead in _STORING.items():
        said = found.get(name)
        if not isinstance(said, bool | None):
            raise refuse(name, said, "true or false")
        if said:
            raise InvalidRequest(f"{name} is true, and nothing is stored here: {instead}.")


def _models(first: object, others: object) -> tuple[str, ...]:
    """`model` and then `models`, each once: our chain, however long."""
    if first is not None and not isinstance(first, str):
        raise refuse("model", first, "a model's name")
    if others is None:
        return (first,) if first else ()
    if not isinstance(others, list) or not all(isinstance(one, str) and one for one in others):
        raise refuse("models", others, "a list of models' names")
    return tuple(dict.fromkeys((first, *others) if first else others))


def _params(found: Found) -> Found:
    """Every other field in chat's terms and the client's order."""
    params: Found = {}
    for name, value in found.items():
        if name in _READ_HERE or (value is None and name in _MEANS_NOTHING):
            continue
        translate = _FIELDS.get(name)
        if translate is None:
            params.setdefault(name, value)
        else:
            params.update(translate(value, found))
    return params


def _echo(found: Found) -> Found:
    """What the answer repeats, whole."""
    echo = {name: usual if found.get(name) is None else found[name] for name, usual in _ECHOED.items()}
    echo["text"] = _ECHOED["text"] | {k: v for k, v in echo["text"].items() if v is not None}
    return echo | {"tools": tools.echoed(found.get("tools") or [])}


# -- the fields that chat has in another form ----------------------------------------------------


def _cap(value: object, found: Found) -> Found:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise refuse("max_output_tokens", value, "a whole number above 0")
    return {"max_tokens": value}


def _text(value: object, found: Found) -> Found:
    """`format` and `verbosity` are fields of their own in chat."""
    given = dict(an_object("text", value))
    wanted, verbosity = given.pop("format", None), given.pop("verbosity", None)
    made: Found = {}
    if wanted is not None and (format_ := _format(an_object("text.format", wanted))) is not None:
        made["response_format"] = format_
    if verbosity is not None:
        made["verbosity"] = verbosity
    return made | ({"text": given} if given else {})


def _format(wanted: Found) -> Found | None:
    """A schema lies one level deeper in chat; plain text is what chat takes for granted."""
    kind = a_text("text.format.type", wanted.get("type"))
    if kind == "text":
        return None
    if kind != "json_schema":
        return wanted
    schema = {name: value for name, value in wanted.items() if name != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _reasoning(value: object, found: Found) -> Found:
    given = {name: said for name, said in an_object("reasoning", value).items() if said is not None}
    if (summary := given.pop("generate_summary", None)) is not None:  # its name before `summary`
        given.setdefault("summary", summary)
    return {"reasoning": given} if given else {}


def _logprobs(value: object, found: Found) -> Found:
    """In chat they have to be switched on."""
    return {"logprobs": True, "top_logprobs": value} if value else {}


def _include(value: object, found: Found) -> Found:
    """Reasoning to be sent back comes always; the other things are of tools that chat does not have."""
    wanted = a_list("include", value)
    return {"logprobs": True} if "message.output_text.logprobs" in wanted else {}


def _nothing(value: object, found: Found) -> Found:
    return {}


_FIELDS: Mapping[str, Callable[[Any, Found], Found]] = {
    **dict.fromkeys((*_STORING, "stream_options", "truncation"), _nothing),
    "max_output_tokens": _cap,
    "text": _text,
    "reasoning": _reasoning,
    "top_logprobs": _logprobs,
    "include": _include,
    "tools": tools.tools,
    "tool_choice": tools.choice,
    "parallel_tool_calls": tools.parallel,
}
