"""Markup made of elements: whatever is not already markup is escaped, so foreign text can only ever be text."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from .text import cleaned

_VOID = {"meta", "link", "input", "br"}


class Markup(str):
    """Markup of ours, as `el` makes it."""

    __slots__ = ()


def el(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element. Children that are no Markup are text and escaped; None is nothing.

    Attributes: `class_` is `class`, `data_part` is `data-part`; True is an attribute without a value, False and None are
    left out.
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    inner = "".join(text(one) for one in children if one is not None)
    return Markup(f"<{name}{told}>" if name in _VOID else f"<{name}{told}>{inner}</{name}>")


def text(value: str) -> Markup:
    """Text as markup."""
    return value if isinstance(value, Markup) else Markup(escape(cleaned(value), quote=True))


def foreign(name: str, value: str, /, **attributes: str | float | bool | None) -> Markup:
    """An element of text by somebody else: its language is not known, and its direction is its own."""
    return el(name, value, lang="", dir="auto", **attributes)


def together(*parts: str | None) -> Markup:
    """Several pieces in a row."""
    return Markup("".join(text(one) for one in parts if one is not None))


def source(digest_of: str) -> str:
    """What a Content-Security-Policy calls an inline script or style sheet (CSP level 3, §2.3.1)."""
    return f"'sha256-{b64encode(sha256(digest_of.encode()).digest()).decode()}'"


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(cleaned(str(value)), quote=True)}"'
