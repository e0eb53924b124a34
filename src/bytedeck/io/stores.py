"""The URL that chooses who keeps the ledger, and the virtual keys and the matches with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .store import Store

if TYPE_CHECKING:
    from .keys import Keys
    from .matches import Matches

_POSSIBLE = (
    "sqlite:///absolute/path/of/ledger.db keeps the ledger in a file.",
    "memory: keeps it only as long as the process lives.",
)


def open_store(url: str) -> Store:
    """The store that a URL names: `sqlite:///absolute/path` (taken literally) or `memory:`.

    Does no I/O: the file is opened at the first row. Raises ConfigError for any other URL.
    """
    path = _path(url)
    if not path:
        from .memory import MemoryStore

        return MemoryStore()
    from .sqlite import SqliteStore

    return SqliteStore(path)


def open_keys(url: str) -> Keys:
    """The virtual keys beside the ledger that a URL names. Does no I/O. Raises ConfigError as `open_store`."""
    path = _path(url)
    if not path:
        from .memory_keys import MemoryKeys

        return MemoryKeys()
    from .sqlite_keys import SqliteKeys

    return SqliteKeys(path)


def open_matches(url: str) -> Matches:
    """The arena's matches beside the ledger that a URL names. Does no I/O. Raises ConfigError as `open_store`."""
    path = _path(url)
    if not path:
        from .memory_matches import MemoryMatches

        return MemoryMatches()
    from .sqlite_matches import SqliteMatches

    return SqliteMatches(path)


def _path(url: str) -> str:
    """The file that a URL names; "" for `memory:`. Raises ConfigError for any other URL."""
    if url == "memory:":
        return ""
    scheme, _, path = url.partition("://")
    if scheme == "sqlite" and path.startswith("/") and not path.endswith("/") and "\0" not in path:
        return os.path.normpath("/" + path.lstrip("/"))
    if scheme == "sqlite" or url.startswith("sqlite:"):
        raise ConfigError("A SQLite ledger needs the absolute path of a file.", hint=_POSSIBLE)
    # Only the scheme is told: a database's URL may hold a password.
    kind = url.partition(":")[0] if ":" in url else ""
    known = f"{kind!r}" if kind.isalnum() else "this"
    raise ConfigError(f"The ledger cannot be kept in {known}: no such kind of database.", hint=_POSSIBLE)


def cache_path(url: str, home: str | os.PathLike[str]) -> str:
    """Where kept answers are: `cache.db` beside the ledger that a URL names, or else in the home folder."""
    scheme, _, path = url.partition("://")
    folder = os.path.dirname(os.path.normpath("/" + path.lstrip("/"))) if scheme == "sqlite" else home
    return os.path.join(folder, "cache.db")
