"""The public face: what `import bytedeck` gives, what it costs, and that both faces are alike."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from types import ModuleType

import pytest

import bytedeck
from bytedeck import AsyncDebate, AsyncHub, AsyncStream, Debate, Hub, Stream, errors
from bytedeck.league.league import AsyncLeague, League
from bytedeck.limits import AsyncLimits, Limits


def test_all_is_what_is_there() -> None:
    """`__all__` names everything public that the package holds, in order, and nothing else."""
    rooms = {
        "arena", "arguments", "async_client", "call", "callers", "claims", "client", "codec", "config", "data", "debates", "errors", "events", "face", "fighters", "gateway", "guard", "health", "house", "io",
        "league", "ledger", "limits", "money", "pipeline", "purse", "relay", "route", "run", "shared", "standing", "streams", "types", "cli", "simulator",
    }  # fmt: skip
    for name in bytedeck.__all__:  # each is fetched at its first use
        getattr(bytedeck, name)
    held = {
        n
        for n, v in vars(bytedeck).items()
        if not n.startswith("_") and not (isinstance(v, ModuleType) and n in rooms)
    }
    assert held == set(bytedeck.__all__)
    assert list(bytedeck.__all__) == sorted(bytedeck.__all__, key=lambda n: (not n[0].isupper(), n))


def test_everything_public_is_documented() -> None:
    """Each public name has a docstring of its own."""
    for name in bytedeck.__all__:
        assert inspect.getdoc(getattr(bytedeck, name)), name


def test_importing_touches_little() -> None:
    """`import bytedeck` loads no HTTP library, no asyncio, no database, no CLI, and reads none of our files."""
    code = (
        "import sys, bytedeck; heavy = {'http','asyncio','sqlite3','click','rich','ssl','tomllib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PAIRS = {
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__anext__": "__next__",
    "__aiter__": "__iter__",
}


def _methods(face: type) -> dict[str, inspect.Signature]:
    return {
        PAIRS.get(name, name): inspect.signature(value)
        for name, value in inspect.getmembers(face, inspect.isfunction)
        if not name.startswith("_") or name in PAIRS or name in PAIRS.values()
    }


@pytest.mark.parametrize(
    ("sync", "other"),
    [
        (Hub, AsyncHub),
        (Stream, AsyncStream),
        (Limits, AsyncLimits),
        (Debate, AsyncDebate),
        (League, AsyncLeague),
    ],
)
def test_both_faces_are_alike(sync: type, other: type) -> None:
    """The same methods with the same parameters and defaults; what differs is only that one is awaited."""
    ours, theirs = _methods(sync), _methods(other)
    assert set(ours) == set(theirs)
    for name, signature in ours.items():
        mine = [(p.name, p.kind, p.default) for p in signature.parameters.values()]
        yours = [(p.name, p.kind, p.default) for p in theirs[name].parameters.values()]
        assert mine == yours, name


def test_both_hubs_are_made_alike() -> None:
    """The same arguments make either."""
    assert inspect.signature(Hub.__init__) == inspect.signature(AsyncHub.__init__)


def test_the_tree_of_errors_is_the_one_drawn() -> None:
    """The docstring of `errors` draws the classes as they are, each a row at least in the table."""
    drawn = {}
    stack: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^([ │├└─]*)([A-Z]\w+)(?:\s|$)", line):
            depth = len(found[1]) // 4 - 1
            stack = [*stack[:depth], found[2]]
            if found[1].strip() or found[2] == "ByteError":
                drawn[found[2]] = stack[-2] if len(stack) > 1 else "Exception"
    real = {n: v for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, errors.ByteError)}
    assert set(drawn) == set(real)
    for name, parent in drawn.items():
        assert real[name].__bases__[0].__name__ == parent
    leaves = {cls for cls in real.values() if not cls.__subclasses__()}
    assert {row.error for row in errors.TABLE.values()} >= leaves
    assert all(cls.code in errors.TABLE for cls in leaves)


def test_exit_codes_tell_kinds_apart() -> None:
    """0, 2, 3 and 130 have other meanings, and an exit code never stands for errors of two branches of the tree."""
    branches: dict[int, set[type]] = {}
    for row in errors.TABLE.values():
        assert row.exit_code not in (0, 2, errors.EXIT_LENGTH, 130)
        branch = row.error.__mro__[-5] if row.error.__bases__[0] is not errors.ByteError else row.error
        branches.setdefault(row.exit_code, set()).add(branch)
    assert all(len(found) == 1 for found in branches.values()), branches
