"""What SQLite's errors mean: what to tell a person, and what to do with the row and the connection."""

from __future__ import annotations

import sqlite3

from ..errors import LedgerError

# SQLite's name of an error, as far as it matters → what to tell, and what to do.
_FAULTS: tuple[tuple[str, str, str], ...] = (
    ("SQLITE_FULL", "cannot be written: the disk is full", "Free some space on that disk."),
    ("SQLITE_READONLY", "is read-only", "Make the file and its folder writable."),
    (
        "SQLITE_BUSY",
        "is locked by another program",
        "Close the program that holds it, or wait until it is done.",
    ),
    ("SQLITE_LOCKED", "is locked by another program", "Close the program that holds it."),
    (
        "SQLITE_CORRUPT",
        "is damaged",
        "Move it away, with its -wal and -shm files: a new one is begun.",
    ),
    (
        "SQLITE_NOTADB",
        "is damaged, or no ledger at all",
        "Move it away, with its -wal and -shm files: a new one is begun.",
    ),
    ("SQLITE_CANTOPEN", "cannot be opened", "Make sure that its folder exists and is yours."),
    ("SQLITE_IOERR_SHMSIZE", "cannot be opened: the disk is full", "Free some space on that disk."),
    (
        "SQLITE_IOERR",
        "cannot be read or written: the disk fails",
        "Look after the disk: it may be broken, or your share of it be used up.",
    ),
)
# After these, trying the next row at once would only wait as long again, or damage more.
_HOPELESS = tuple(prefix for prefix, _, _ in _FAULTS if prefix not in ("SQLITE_FULL", "SQLITE_IOERR"))
# After these the same row may be written later; after the others nothing changes by itself.
_PASSING = tuple(prefix for prefix, _, _ in _FAULTS if prefix not in ("SQLITE_CORRUPT", "SQLITE_NOTADB"))
# After these the connection is as good as before. On a full disk it is better than a new one: that would want room.
_HARMLESS = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CONSTRAINT", "SQLITE_FULL")
ANOTHER_PLACE = "BYTE_DATABASE_URL=sqlite:///another/path keeps the ledger elsewhere, memory: nowhere."


def explain(error: Exception, path: str) -> LedgerError:
    """The error as a person should read it: which file, what is wrong, what to do."""
    if isinstance(error, LedgerError):
        return error
    code = name(error)
    for prefix, what, remedy in _FAULTS:
        if code.startswith(prefix):
            return _error(f"The ledger {path} {what}.", error, remedy, ANOTHER_PLACE)
    if isinstance(error, OSError):
        why = error.strerror or type(error).__name__
        return _error(f"The ledger {path} cannot be opened: {why}.", error, ANOTHER_PLACE)
    if code == "SQLITE_CONSTRAINT_UNIQUE":
        return _error("The attempt is in the ledger already.", error)
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
        return _error(f"The ledger {path} cannot be used: {error}.", error, ANOTHER_PLACE)
    return _error(f"A row does not fit into the ledger {path}.", error)


def _error(sentence: str, error: Exception, *hint: str) -> LedgerError:
    made = LedgerError(sentence, detail=f"{type(error).__name__}: {error}", hint=hint)
    made.__cause__ = error
    return made


def name(error: Exception) -> str:
    """SQLite's own name of an error: `SQLITE_BUSY_SNAPSHOT`; "" for any other error."""
    return getattr(error, "sqlite_errorname", "") or ""


def is_hopeless(error: Exception) -> bool:
    """Whether every other row would fail as this one did, perhaps after a long wait."""
    return isinstance(error, OSError | LedgerError) or name(error).startswith(_HOPELESS)


def may_pass(error: Exception) -> bool:
    """Whether the same row may be written later."""
    return isinstance(error, OSError | MemoryError) or name(error).startswith(_PASSING)


def is_harmless(error: Exception) -> bool:
    """Whether the connection is as good as before."""
    return name(error).startswith(_HARMLESS)


def is_full(error: Exception) -> bool:
    """Whether there is no room."""
    return name(error).startswith("SQLITE_FULL")
