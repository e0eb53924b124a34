"""A key that must never be seen again, and the look-out for it."""

from __future__ import annotations

import traceback
from pathlib import Path

CANARY = "sk-or-v1-canary-5f3a9c07e1b24d68a0c1f7e9d2b3846a"


def assert_no_canary(*things: object) -> None:
    """Fail if the canary key stands in a path's file or tree, a text, bytes, an exception or any repr."""
    for thing in things:
        for where, data in _contents(thing):
            assert CANARY.encode() not in data, f"the canary key stands in {where}"


def _contents(thing: object) -> list[tuple[str, bytes]]:
    match thing:
        case Path():
            files = [thing] if thing.is_file() else [path for path in thing.rglob("*") if path.is_file()]
            if not files and not thing.is_dir():
                raise FileNotFoundError(thing)
            return [(str(path), path.read_bytes()) for path in files]
        case str():
            return [(f"a text of {len(thing)} characters", thing.encode(errors="surrogateescape"))]
        case bytes():
            return [(f"{len(thing)} bytes", thing)]
        case BaseException():
            lines = traceback.TracebackException.from_exception(thing, capture_locals=False).format()
            shown = "".join(lines) + str(thing) + repr(thing) + repr(vars(thing))
            return [(f"a {type(thing).__name__} or its causes", shown.encode())]
        case _:
            return [(f"a {type(thing).__name__}", (repr(thing) + str(thing)).encode())]
