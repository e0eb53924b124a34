"""The bench of seams on the real model: its proxy cuts where it says, and its judge lets nothing pass."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytedeck.io.wire import WireError
from upstream import Answer, Upstream
from wires import Async, Blocking

sys.path.append(str(Path(__file__).parents[2] / "bench"))  # last, for it has an `upstream` of its own

import seams_local
from seams_local import Case, Proxy, Run, Token, differs


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    made = Proxy(("127.0.0.1", upstream.port))
    yield made
    made.close()


def test_the_proxy_cuts_once_and_at_its_place(make: Any, upstream: Upstream, proxy: Proxy) -> None:
    """So many bytes of what the server says arrive, then the line is dead; the next one is whole."""
    upstream.script(Answer(chunked=False, steps=(b"x" * 5000,)))
    wire: Blocking | Async = make(f"http://127.0.0.1:{proxy.port}/api/v1")
    proxy.arm(None)
    assert len(wire.ask()[2]) == 5000
    head = proxy.passed - 5000
    assert head > 0
    for left in (1, 2499, 4999):
        proxy.arm(head + left)
        pieces: list[bytes] = []
        with pytest.raises(WireError) as caught:
            wire.ask(each=pieces.append)
        assert caught.value.phase == "body"
        assert len(b"".join(pieces)) == left
        assert proxy.passed == head + left
        assert len(wire.ask()[2]) == 5000
    assert proxy.cuts == 3


class Table:
    """Stands for the server's tokenizer: a word is a token, by its place in a list."""

    def __init__(self, *parts: list[str]) -> None:
        self.parts = list(parts)
        self.words = [word for part in parts for word in part]

    def prompt(self, messages: list[dict[str, Any]]) -> list[int]:
        told = self.parts[1] if len(messages) > 1 else []
        return [self.words.index(word) for word in ["<q>", *told]]

    def pieces(self, ids: list[int]) -> list[str]:
        return [self.words[one] for one in ids]


WRITTEN = ["a", "bc", " d"]


def case(lead: float = 0.25) -> Case:
    tokens = [Token(n + 1, word, lead) for n, word in enumerate(WRITTEN)]
    return Case([{"role": "user", "content": "q"}], "abc d", tokens, 1000)


@pytest.mark.parametrize(
    ("read", "run", "says"),
    [
        ([], Run(9, "unproven", 3, "abc d", True), ""),
        ([], Run(9, "retry", 0, "abc d", True), ""),
        ([], Run(9, "unproven", 3, "abc d", False), "WRONG byte 9"),
        ([], Run(9, "idle_timeout", 3, "abc", False), "WRONG"),
        (["ab", "c"], Run(9, "unproven", 3, "abc e", True), "token borders moved: written as ['a', 'bc', ' d'], read as ['ab', 'c']"),
        (["a", "bc"], Run(9, "unproven", 3, "abc e", True), "at ' d' the next best word was 0.250 nats behind"),
        (["a", "bc"], Run(9, "unproven", 3, "abd d", True), "not at the seam"),
        ([], Run(9, "retry", 0, "xyz", True), "not at the seam"),
        (["ab", "c"], Run(9, "unproven", 3, "abcd", True), "NOT EXPLAINED"),
        (["ab", "c"], Run(9, "unproven", 3, "abc  d", True), "NOT EXPLAINED"),
    ],
)  # fmt: skip
def test_each_difference_has_its_reason(read: list[str], run: Run, says: str) -> None:
    """Moved token borders, the same tokens read otherwise, another first part; a blank at the seam is no excuse."""
    server: Any = Table(["<q>", *WRITTEN], read)
    said = differs(server, case(), run)
    assert bool(said) == bool(says)
    assert says in said


@pytest.mark.parametrize("way", ["prefill", "echo"])
def test_a_few_cuts_of_the_real_model(way: str, local_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each comes to a whole answer, and what differs is explained."""
    assert seams_local.main(["--cuts", "3", "--seed", "7", "--way", way, "--home", str(local_home)]) == 0
    assert "of 3" in capsys.readouterr().out


def test_a_sure_word_is_not_turned_by_arithmetic() -> None:
    """The same tokens and a word of which the model was sure: then it was not the model, unless it was asked otherwise."""
    server: Any = Table(["<q>", *WRITTEN], ["a", "bc"])
    other = Run(9, "proven", 3, "abc e", True)
    assert "another conversation" in differs(server, case(lead=2.0), other, "echo")
    for run in (Run(9, "unproven", 3, "abc e", True), Run(9, "unproven", 3, "abd d", True)):
        assert "NOT EXPLAINED" in differs(server, case(lead=2.0), run)
