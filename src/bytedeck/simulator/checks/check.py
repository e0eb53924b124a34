"""A request's bytes become a `Call`, or are refused as OpenRouter refuses them.

`read` looks at the form only; `fits`, in its own file, at what depends on the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..refusals.named import make
from ..shapes import Call, Skin
from . import rules, schemas
from .fits import eligible, fits
from .spoken import anthropic, plain, responses

__all__ = ["body", "count_tokens", "eligible", "fits", "read"]

_NAMES: dict[Skin, str] = {
    "chat": "chat/completions",
    "completions": "completions",
    "responses": "responses",
    "messages": "messages",
    "embeddings": "embeddings",
    "rerank": "rerank",
}
_SPOKEN: dict[Skin, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "chat": plain.fields,
    "completions": plain.legacy,
    "responses": responses.fields,
    "messages": anthropic.fields,
    "embeddings": plain.bare,
    "rerank": plain.bare,
}
_DEEPEST = 128
"""Levels of a body. Whoever looks into one further on may do so by recursion."""
_decode = msgspec.json.Decoder().decode


def read(skin: Skin, raw: bytes, headers: Mapping[str, str]) -> Call:
    """The call that these bytes are; `headers` have lower-case names.

    Refuses with 400 what is not JSON, what the description or the documented ranges forbid.
    """
    sent = _object(raw)
    for rule in rules.BEFORE.get(skin, ()):
        rule(sent)
    schemas.validate(_NAMES[skin], sent)
    rules.check(skin, sent)
    rules.session(sent, headers)
    return Call(skin=skin, body=sent, raw=raw, **_SPOKEN[skin](sent))


def count_tokens(raw: bytes, headers: Mapping[str, str]) -> Call:
    """The same for `POST /messages/count_tokens`: a messages body of which nothing is generated."""
    return msgspec.structs.replace(read("messages", raw, headers), stream=False)


def body(name: str, raw: bytes) -> dict[str, Any]:
    """The checked body of a POST that is no inference: `auth/keys`."""
    sent = _object(raw)
    schemas.validate(name, sent)
    return sent


def _object(raw: bytes) -> dict[str, Any]:
    """The JSON object in these bytes. Invalid UTF-8, lone surrogates, NaN and bottomless nesting are refused."""
    try:
        decoded = _decode(raw)
    except UnicodeDecodeError as exc:
        raise make("invalid_json", detail="not valid UTF-8") from exc
    except RecursionError as exc:
        raise make("invalid_json", detail="nested too deeply") from exc
    except msgspec.MsgspecError as exc:
        detail = str(exc).replace(
            "Input data was truncated", "it ends too early, or holds half of a surrogate pair"
        )
        raise make("invalid_json", detail=detail) from exc
    if not isinstance(decoded, dict):
        raise make("invalid_json", detail="expected an object")
    if raw.count(b"{") + raw.count(b"[") > _DEEPEST and _depth(decoded) > _DEEPEST:
        raise make("invalid_json", detail="nested too deeply")
    return decoded


def _depth(value: Any) -> int:
    """How deep containers lie within each other; as soon as it is too deep."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        depth += 1
        parts = (each.values() if isinstance(each, dict) else each for each in level)
        level = [part for each in parts for part in each if isinstance(part, dict | list)]
    return depth
