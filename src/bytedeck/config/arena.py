"""`[arena]`: who may judge, who sums up, and whom a fighter may play."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from .document import Document
from .shape import Arena
from .tables import Text, Texts

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


class PersonaTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[arena.personas.<name>]`."""

    name: Text | UnsetType = UNSET
    style: str | UnsetType = UNSET
    colour: str | UnsetType = UNSET


class ArenaTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[arena]` of a user's file, and arena.toml whole. A persona's table is converted by itself, as a task's is."""

    judges: Texts | UnsetType = UNSET
    commentator: str | UnsetType = UNSET
    personas: dict[str, Any] = {}


def arena(ship: ArenaTable, own: ArenaTable, document: Document) -> Arena:
    """What holds: the user's over what ships, personas field by field. Raises ConfigError for what the file has wrong."""
    judges = ship.judges if own.judges is UNSET else own.judges
    commentator = ship.commentator if own.commentator is UNSET else own.commentator
    # Without a name of its own, a persona is called as its table is; what ships has been read by a test.
    personas = {key: {"name": key, "style": "", "colour": ""} for key in (*ship.personas, *own.personas)}
    for key, fields in ship.personas.items():
        personas[key] |= fields
    for key, table in own.personas.items():
        personas[key] |= _persona(key, table, document)
    return Arena(
        judges=() if isinstance(judges, UnsetType) else tuple(one.strip() for one in judges),
        commentator="" if isinstance(commentator, UnsetType) else commentator.strip(),
        personas=personas,
    )


def _persona(key: str, table: object, document: Document) -> dict[str, str]:
    """What a table says of a persona."""
    path = ("arena", "personas", key)
    if not key.strip():
        raise document.wrong(path, "expected a name that is not empty")
    found = document.convert(table, PersonaTable, *path)
    if isinstance(found.colour, str) and not _COLOUR.fullmatch(found.colour):
        raise document.wrong(
            (*path, "colour"), f'expected a colour such as "#2b6cb0", and not {found.colour!r}'
        )
    return {name: said for name in found.__struct_fields__ if (said := getattr(found, name)) is not UNSET}
