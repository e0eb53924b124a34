"""Request bodies against OpenRouter's OpenAPI description, and what was wrong in one short sentence.

The description is data/requests.json (made by scripts/openapi). Where the documentation allows more, `_AMENDED` says so.
Validators are compiled once, when first needed.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import jsonschema_rs
from msgspec import json

from ..refusals.named import invalid
from .narrow import Narrowed, Path

_MONEY = {"type": ["string", "number", "null"]}
_AMENDED: dict[str, dict[str, Any]] = {
    # The docs send numbers, the description says strings: both (wire reference, 12 row 7).
    "ProviderPreferences.max_price": {
        "type": ["object", "null"],
        "properties": dict.fromkeys(("prompt", "completion", "request", "image", "audio"), _MONEY),
    },
    # Extended by components that allow more, which `allOf` cannot express.
    "TextConfig.verbosity": {"enum": ["low", "medium", "high", "xhigh", "max", None]},
    "OutputItemReasoning.content": {
        "type": ["array", "null"],
        "items": {"$ref": "#/$defs/ReasoningTextContent"},
    },
    "OutputItemReasoning.summary": {
        "type": ["array", "null"],
        "items": {"$ref": "#/$defs/ReasoningSummaryText"},
    },
}
_NOT_LEGACY = frozenset(
    {"messages", "tools", "tool_choice", "response_format", "modalities", "logprobs", "top_logprobs"}
)
"""What chat's body has and the old completions' has not, or has with another type: left open."""
_TAGS = ("type", "role", "id")
"""Keys by which OpenRouter's unions are told apart."""
_UNIONS = frozenset({"anyOf", "oneOf"})
_LONGEST = 160
_SHOWN = 16


def validate(name: str, body: Any) -> None:
    """Refuses a body that the description of `POST /<name>` does not allow: 400, the path and what was expected."""
    checker = _validator(name)
    try:
        if checker.is_valid(body):
            return
        small = Narrowed(checker.is_valid, body)
        checker.validate(small.body)
        checker.validate(body)  # should the small one be no likeness of it
    except jsonschema_rs.ValidationError as wrong:
        path, words = _explain(wrong)
        where = _path(small.restored(path))
        raise invalid(f"{where}: {words}" if where else words) from None
    except (ValueError, RecursionError) as exc:  # nested deeper than the validator follows
        raise invalid("Request body is nested too deeply") from exc


@cache
def _description() -> dict[str, Any]:
    """The whole description, amended."""
    text = (pathlib.Path(__file__).parents[1] / "data" / "requests.json").read_bytes()
    whole: dict[str, Any] = json.decode(text)
    for where, schema in _AMENDED.items():
        component, _, key = where.partition(".")
        whole["$defs"][component]["properties"][key] = schema
    whole["bodies"]["completions"] = _legacy(whole["$defs"]["ChatRequest"])
    return whole


def _legacy(chat: dict[str, Any]) -> dict[str, Any]:
    """`POST /completions`, which only the documentation names: chat's body with a prompt for messages, without tools."""
    kept = {key: schema for key, schema in chat["properties"].items() if key not in _NOT_LEGACY}
    return {**chat, "properties": kept | {"prompt": {"type": "string"}}, "required": ["prompt"]}


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    whole = _description()
    # Errors hold no part of the body: with bodies of many megabytes their text would be as long.
    return jsonschema_rs.Draft202012Validator(
        {**whole["bodies"][name], "$defs": whole["$defs"]}, mask="value", offline=True
    )


def _explain(error: jsonschema_rs.ValidationError) -> tuple[Path, str]:
    """Where the body is wrong, and how. Of a union the branch counts that was meant, told by its tag."""
    here = tuple(error.instance_path)
    if error.kind.name not in _UNIONS:
        return here, _words(error.kind.name, error.kind.as_dict())
    branches = [branch for branch in error.kind.as_dict()["context"] if branch]
    meant = [branch for branch in branches if not any(_is_elsewhere(each, here) for each in branch)]
    plain = [
        option
        for branch in meant
        for each in branch
        if tuple(each.instance_path) == here
        for option in _options(each)
    ]
    if plain:
        return here, _one_of(plain)
    if meant:
        return _explain(max((branch[0] for branch in meant), key=lambda each: len(each.instance_path)))
    return _untagged(here, [each for branch in branches for each in branch])


def _untagged(here: Path, errors: Sequence[jsonschema_rs.ValidationError]) -> tuple[Path, str]:
    """No branch was meant: the tag names none of them, or is missing, or the value is of another kind."""
    tagged = [each for each in errors if _is_tag(each, here)]
    options = [option for each in tagged for option in _options(each)]
    if options:
        return tuple(tagged[0].instance_path), _one_of(options)
    missing = next((each for each in errors if _lacks_tag(each, here)), None)
    if missing is not None:
        return here, _words(missing.kind.name, missing.kind.as_dict())
    kinds = [kind for each in errors if each.kind.name == "type" for kind in each.kind.as_dict()["types"]]
    return here, f"expected {_listed(kinds)}" if kinds else "does not have any of the allowed forms"


def _is_elsewhere(error: jsonschema_rs.ValidationError, here: Path) -> bool:
    """Whether this error says that its branch was not meant at all."""
    is_other_kind = error.kind.name == "type" and len(error.instance_path) == len(here)
    return is_other_kind or _is_tag(error, here) or _lacks_tag(error, here)


def _is_tag(error: jsonschema_rs.ValidationError, here: Path) -> bool:
    path = error.instance_path
    return len(path) == len(here) + 1 and path[-1] in _TAGS and error.kind.name in {"enum", "const", *_UNIONS}


def _lacks_tag(error: jsonschema_rs.ValidationError, here: Path) -> bool:
    return (
        error.kind.name == "required"
        and tuple(error.instance_path) == here
        and error.kind.as_dict()["property"] in _TAGS[:2]
    )


def _options(error: jsonschema_rs.ValidationError) -> list[Any]:
    """What would have been allowed in this place, also if every option is a branch of its own."""
    data = error.kind.as_dict()
    if error.kind.name in _UNIONS:
        return [option for branch in data["context"] for each in branch for option in _options(each)]
    return list(data.get("options", ())) or ([data["expected_value"]] if "expected_value" in data else [])


def _words(kind: str, data: dict[str, Any]) -> str:
    """What a keyword of JSON Schema expected."""
    match kind:
        case "type":
            return f"expected {_listed(data['types'])}"
        case "required":
            return f"{_quoted(data['property'])} is required"
        case "enum":
            return _one_of(data["options"])
        case "additionalProperties":
            return f"unrecognized key {', '.join(_quoted(key) for key in data['unexpected'][:3])}"
        case _:
            return _WORDS.get(kind, "is not valid ({kind})").format(kind=kind, limit=data.get("limit"))


_WORDS: dict[str, str] = {
    "minItems": "must have at least {limit} item(s)",
    "maxItems": "must have at most {limit} items",
    "minLength": "must have at least {limit} character(s)",
    "maxLength": "must have at most {limit} characters",
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "pattern": "has characters that are not allowed",
}


def _path(parts: Path) -> str:
    """`messages[0].content`, cut where a sender made it long."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _one_of(options: Iterable[Any]) -> str:
    seen = list(
        dict.fromkeys(
            option if isinstance(option, str) else json.encode(option).decode() for option in options
        )
    )
    more = ", …" if len(seen) > _SHOWN else ""
    return f"expected {'one of ' if len(seen) > 1 else ''}{', '.join(seen[:_SHOWN])}{more}"


def _listed(kinds: Iterable[str]) -> str:
    return " or ".join(sorted(dict.fromkeys(kinds), key=lambda kind: kind == "null"))


def _quoted(key: str) -> str:
    return f"'{key[:64]}'"
