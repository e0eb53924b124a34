"""The one loader of our SQL: named statements, and numbered migrations.

Plain paths beside this file: `importlib.resources` takes 40 ms of CPU to import.
"""

from __future__ import annotations

import os
import re
from functools import cache

_HERE = os.path.dirname(__file__)
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(dialect: str) -> dict[str, str]:
    """The statements of `<dialect>.sql` by name; each begins with a line `-- name: …`."""
    parts = _NAME.split(_read(f"{dialect}.sql"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def migrations(dialect: str) -> dict[str, str]:
    """The migrations by name (`0001_ledger`), in their order. A shipped one is never changed."""
    folder = f"{dialect}_migrations"
    names = sorted(name[:-4] for name in os.listdir(os.path.join(_HERE, folder)) if name.endswith(".sql"))
    return {name: _read(os.path.join(folder, f"{name}.sql")) for name in names}


def _read(name: str) -> str:
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        return file.read()
