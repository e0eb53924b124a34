"""What the tests of the outside share: the real small model, fetched once into the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bytedeck.io.local import Local

_CACHE = Path(__file__).parents[2] / ".bytedeck" / "tests"


@pytest.fixture(scope="session")
def local_home() -> Path:
    """A home that holds the real weights. Not to be changed: later runs use it again."""
    Local(_CACHE).install(lambda line: print(line, file=sys.stderr))
    return _CACHE
