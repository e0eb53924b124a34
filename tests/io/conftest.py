"""What the tests of the outside share: a wire of each kind; the real small model, fetched once into the checkout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bytedeck.io.local import Local
from wires import WIRES, Async, Blocking, wire_of

_CACHE = Path(__file__).parents[2] / ".bytedeck" / "tests"


@pytest.fixture(scope="session")
def local_home() -> Path:
    """A home that holds the real weights. Not to be changed: later runs use it again."""
    Local(_CACHE).install(lambda line: print(line, file=sys.stderr))
    return _CACHE


@pytest.fixture(params=WIRES)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Blocking | Async]]:
    """Makes a wire to a URL."""
    made: list[Blocking | Async] = []

    def build(url: str) -> Blocking | Async:
        made.append(wire_of(request.param, url))
        return made[-1]

    yield build
    for wire in made:
        wire.close()
