"""The URL that chooses who keeps the ledger."""

from __future__ import annotations

import os

from ..errors import ConfigError
from .store import Store

_POSSIBLE = (
    "sqlite:///absolute/path/of/ledger.db keeps the ledger in a file.",
    "memory: keeps it only as long as the process lives.",
)


def open_store(url: str) -> Store:
    """The store that a URL names: `sqlite:///absolute/path` (taken literally) or `memory:`.

    Does no I/O: the file is opened at the first row. Raises ConfigError for any other URL.
    """
    if url == "memory:":
        from .memory import MemoryStore

        return MemoryStore()
    scheme, _, path = url.partition("://")
    if scheme == "sqlite" and path.startswith("/") and not path.endswith("/") and "\0" not in path:
        from .sqlite import SqliteStore

        return SqliteStore(os.path.normpath("/" + path.lstrip("/")))
    if scheme == "sqlite" or url.startswith("sqlite:"):
        raise ConfigError("A SQLite ledger needs the absolute path of a file.", hint=_POSSIBLE)
    # Only the scheme is told: a database's URL may hold a password.
    kind = url.partition(":")[0] if ":" in url else ""
    known = f"{kind!r}" if kind.isalnum() else "this"
    raise ConfigError(f"The ledger cannot be kept in {known}: no such kind of database.", hint=_POSSIBLE)
