"""How names are compared, and which known ones look most like one that is not known.

A key's label, too, may be written in two ways; of a key itself nothing is shown but its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice

_JOINTS = re.compile(r"[\s_.-]+")
_LABEL = re.compile(r"(?:…|\.\.\.)(.{4})?", re.DOTALL)
CALLER_NAME = re.compile(r"(?!sk-)[a-z0-9][a-z0-9._-]{0,63}")
"""What a virtual key may be called: nothing that looks like a secret."""

_API_KEY = re.compile(r"(?:(?<![\w-])sk-[\w-]{4}|sk-(?:byte|or)-[\w-]{12})[\w-]{4,}")
"""Also in the middle of a word, where it can hardly be anything else."""
_LONGEST = 200
"""Signs of a name that something may look like: to compare a megabyte takes seconds."""
_MOST = 5000
"""Names among which one is looked for."""


def fold(name: str) -> str:
    """A name as it is compared: `multiAgent`, `multi-agent` and `Multi_Agent` are one."""
    return _JOINTS.sub("", name).casefold()


def key_label(written: str) -> str:
    """A key's label as the ledger's rows have it, `…6789` or a virtual key's name; "" for what no key is called.

    Three dots are easier to type than the sign. Where a key is too short to show some of it, its label is the sign alone.
    """
    found = _LABEL.fullmatch(written)
    if found:
        return f"…{found[1] or ''}"
    return written if CALLER_NAME.fullmatch(written) else ""


def without_keys(text: str) -> str:
    """A text in which of each API key only the last four signs stand."""
    return _API_KEY.sub(lambda found: f"…{found[0][-4:]}", text)


def stands_for(name: str, *tables: Mapping[str, str]) -> str:
    """What a name stands for in the end, by these tables; itself where no table has it.

    Only the name as it was written is compared without regard to case and joints; what a table says
    has to be exact. A circle ends where it closes.
    """
    target = _first(name, tables) or _folded(name, tables) or name
    seen = {name}
    while target not in seen and (further := _first(target, tables)):
        seen.add(target)
        target = further
    return target


def _first(name: str, tables: Iterable[Mapping[str, str]]) -> str:
    return next((table[name].strip() for table in tables if name in table), "")


def _folded(name: str, tables: Iterable[Mapping[str, str]]) -> str:
    wanted = "" if "/" in name else fold(name)
    found = (target for table in tables for one, target in table.items() if fold(one) == wanted)
    return next(found, "").strip() if wanted else ""


def nearest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """The known names that look most like this one, best first; none where none looks like it, or there is too much to
    compare."""
    if len(name) > _LONGEST:
        return ()
    import difflib  # only a mistake needs it

    spellings: dict[str, str] = {}
    for one in islice(known, _MOST):
        spellings.setdefault(fold(one), one)
    return tuple(spellings[one] for one in difflib.get_close_matches(fold(name), spellings, most, 0.6))
