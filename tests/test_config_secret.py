"""`Secret`: a text that does not get out by accident."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from bytedeck.config import Secret
from bytedeck.config.secret import open_to_others

CANARY = "sk-canary-value"


@pytest.mark.parametrize(
    "shown",
    [repr, str, lambda one: f"{one}", lambda one: f"{one!r:>20}", lambda one: f"{one} {[one]!r}", "{:>30}".format,
     lambda one: str([one]), lambda one: str(dir(one)), lambda one: repr(getattr(one, "__dict__", None))],
)  # fmt: skip
def test_it_prints_as_stars(shown: object) -> None:
    """No way of showing it shows it."""
    assert CANARY not in shown(Secret(CANARY))  # type: ignore[operator]
    assert str(Secret(CANARY)) == "********"


@pytest.mark.parametrize(
    "write", [pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins]
)
def test_it_cannot_be_written(write: object) -> None:
    """Neither pickle nor msgspec stores it."""
    with pytest.raises(TypeError):
        write(Secret(CANARY))  # type: ignore[operator]


def test_it_can_be_compared_and_copied() -> None:
    """Equal texts are equal secrets, and a text is never equal to a secret."""
    one = Secret(CANARY)
    assert one == Secret(CANARY)
    assert hash(one) == hash(Secret(CANARY))
    assert one != Secret("other")
    assert one != CANARY
    assert copy.copy(one) is one
    assert copy.deepcopy([one])[0] is one
    assert one.reveal() == CANARY
    assert not Secret("")


def test_a_file_that_is_gone_is_open_to_nobody(tmp_path: Path) -> None:
    """It may vanish between reading and looking at its mode."""
    assert not open_to_others(tmp_path / "keys.toml")
