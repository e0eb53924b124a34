"""The house's directions: who may import whom. Reading the tree is reading a request's life."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "src" / "bytedeck"
NOUNS = {"types", "events", "health", "claims", "callers", "money", "errors", "config"}
MAY: dict[str, set[str]] = {
    "money": set(),
    "events": set(),
    "health": set(),
    "claims": set(),
    "callers": {"claims"},
    "types": {"money", "events", "callers"},
    "errors": {"types"},
    "config": {"types", "claims", "callers", "money", "errors", "data"},
    "data": set(),
    "models": {"config"},
    # What a debate is, who is told what, who has won, what it says of the models: all of it pure.
    "arena": NOUNS | {"call.family"},
    "guard": NOUNS,
    "route": NOUNS | {"guard.access"},
    "codec": NOUNS,
    "call": NOUNS | {"codec"},
    "ledger": NOUNS,
    "purse": NOUNS | {"route", "guard", "call"},
    "run": NOUNS | {"route", "guard", "call", "purse"},
    "relay": NOUNS | {"route", "guard", "codec", "call", "ledger", "run"},
    "pipeline": NOUNS | {"route", "guard", "codec", "call", "ledger", "run"},
    # What the world is told by: commands, rows, and what a GET or a script is made of.
    "io": NOUNS
    | {
        "call.steps",
        "call.health",
        "call.breaker",
        "ledger.entry",
        "ledger.report",
        "route.catalog",
        "codec.encode",
        "codec.faults",
        "codec.usage",
        "ledger.lookup",
        "guard.admission",
        "guard.budget",
        "guard.access",
        "arena.types",
        "arena.events",
    },
    "standing": NOUNS | {"guard", "io.store"},
    "arguments": NOUNS,
    "house": NOUNS
    | {"arguments", "pipeline", "run", "standing", "io", "call.request", "route", "codec.faults"},
    "limits": NOUNS | {"house", "standing"},
    "streams": NOUNS | {"io"},
    "debates": NOUNS | {"arena", "arguments", "house", "face", "io", "ledger.entry"},
    "league": NOUNS | {"arena", "arguments", "debates", "house", "io", "route.resolve", "route.tasks"},
    "fighters": NOUNS | {"arena", "client", "async_client", "debates", "shared", "streams"},
    "face": NOUNS | {"house", "pipeline", "relay", "call.steps", "io", "ledger.report"},
    "client": NOUNS
    | {"arena", "debates", "league", "face", "house", "limits", "streams", "relay", "io", "ledger.report"},
    "async_client": NOUNS
    | {"arena", "debates", "league", "face", "house", "limits", "streams", "relay", "io", "ledger.report"},
    # It may know nothing of ours, so that a shared misreading of the wire cannot hide.
    "simulator": set(),
    "gateway": NOUNS
    | {
        "client",
        "async_client",
        "arena",
        "debates",
        "league",
        "relay",
        "house",
        "streams",
        "codec.encode",
        "codec.shapes",
        "guard.access",
        "io.keys",
        "io.matches",
        "io.cache",
        "ledger",
        "standing",
    },
    "cli": NOUNS
    | {
        "arena",
        "debates",
        "league",
        "gateway",
        "client",
        "async_client",
        "house",
        "standing",
        "io",
        "ledger",
        "route",
        "codec.encode",
        "simulator",
    },
    "shared": NOUNS | {"client", "streams"},
    "__init__": {
        "client",
        "async_client",
        "debates",
        "fighters",
        "shared",
        "streams",
        "types",
        "events",
        "claims",
        "errors",
        "models",
    },
}
PURE = ("arena", "route", "guard", "call", "codec", "ledger", "purse", "run", "pipeline", "relay")
OUTSIDE = {
    "os",
    "time",
    "random",
    "socket",
    "threading",
    "asyncio",
    "subprocess",
    "pathlib",
    "secrets",
    "sqlite3",
}
FILES = sorted(HOUSE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """What a file imports: ours as `room.file`, others' as their top name with a leading `!`."""
    found = set()
    parts = path.relative_to(HOUSE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {"!" + alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add("!" + (node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level]
            module = (*base, *(node.module.split(".") if node.module else ()))
            # `from .call import request` names a file of the room, `from .types import Ask` does not.
            found |= {".".join((*module, alias.name) if len(module) < 2 else module) for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_directions(path: Path) -> None:
    """Each file imports only what its room may know, and nobody imports our own package root."""
    room = path.relative_to(HOUSE).with_suffix("").parts[0]
    for name in imports(path):
        if name.startswith("!"):
            assert name != "!bytedeck", f"{path.name} imports the package root"
            continue
        other = name.split(".")[0]
        allowed = other == room or any(name == may or name.startswith(may + ".") for may in MAY[room])
        assert allowed, f"{room} may not import {name}"


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(HOUSE).with_suffix("").parts[0] in PURE])
def test_stages_are_pure(path: Path) -> None:
    """A file that decides has no I/O, no clock, no randomness, no environment."""
    assert not {name[1:] for name in imports(path) if name.startswith("!")} & OUTSIDE


def test_every_module_says_what_it_is_for() -> None:
    """Each file begins with a docstring, and none is longer than four hundred lines by much."""
    for path in FILES:
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path
        assert text.count("\n") <= 450, path


def test_the_ways_in_are_not_imported() -> None:
    """Nothing below imports a way in."""
    for path in FILES:
        room = path.relative_to(HOUSE).with_suffix("").parts[0]
        if room not in ("cli",):
            assert not {name for name in imports(path) if name.split(".")[0] == "cli"}, path


def test_no_import_circles() -> None:
    """No file of ours needs itself, not even by an import inside a function."""
    names = {".".join(p.relative_to(HOUSE).with_suffix("").parts): p for p in FILES if p.stem != "__init__"}
    needs = {name: {n for n in imports(path) if n in names} for name, path in names.items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name not in done:
            for other in needs[name]:
                walk(other, (*trail, name))
            done.add(name)

    for name in names:
        walk(name, ())
