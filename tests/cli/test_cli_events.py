"""What a person at the terminal is told while an answer fights its way through."""

from __future__ import annotations

from typing import Any

import pytest

from answers import Answer, error, words
from bytedeck.cli.events import News
from bytedeck.events import FellBack, Seam, Started, Waiting
from bytedeck.types import Delta
from upstream import Upstream

ONE, TWO = "anthropic/claude-sonnet-4.5", "openai/gpt-4o-mini"
STORY = "The harbour is quiet tonight, and the boats lie side by side"


def broken(text: str = STORY) -> Answer:
    """Words without an end."""
    return words(text, finish=None, usage=None, done=False)


def test_a_fall_back_is_told_before_the_answer(byte: Any, keyed: Upstream) -> None:
    """Who failed, why, and who is asked instead; the answer alone is on stdout."""
    keyed.script(error(404, message="No endpoints found for x."), words("alive"))
    result = byte("-m", ONE, "-m", TWO, "hi")
    assert (result.exit_code, result.stdout) == (0, "alive\n")
    assert f"{ONE} failed (model not found); {TWO} is asked" in result.stderr


def test_a_wait_is_told(byte: Any, keyed: Upstream) -> None:
    """How long, and for whom."""
    keyed.script(error(429, headers=(("retry-after", "1"),)), words("late"))
    result = byte("-m", ONE, "hi")
    assert (result.exit_code, result.stdout) == (0, "late\n")
    assert f"{ONE} failed (rate limited); asked again in 1 s" in result.stderr


def test_a_seam_is_told_after_the_answer(byte: Any, keyed: Upstream) -> None:
    """The words are one text in a pipe; what happened to them stands on stderr, and in --json."""
    keyed.script(broken(), words(f"{STORY} in the dark."))
    result = byte("-m", ONE, "-m", TWO, "hi")
    assert (result.exit_code, result.stdout) == (0, f"{STORY} in the dark.\n")
    (told,) = [line for line in result.stderr.splitlines() if TWO in line]
    broke = f"▸ {ONE} broke off after {len(STORY)} characters (truncated)"
    assert told == f"{broke}; {TWO} went on, with no character lost or said twice"


def test_words_in_a_pipe_are_not_taken_back(byte: Any, keyed: Upstream) -> None:
    """What nobody can go on with is an error there, with the words so far; and nothing after them."""
    keyed.script(broken(), words("Another story."))
    result = byte("-m", ONE, "-m", TWO, "hi")
    assert result.stdout == f"{STORY}\n"
    assert result.exit_code == 24
    assert "no other model could take it up" in result.stderr
    assert "--no-stream" in result.stderr
    assert f"{TWO} could not go on with the words; {ONE} is asked" in result.stderr


def test_an_answer_begun_anew_goes_into_a_pipe_whole(byte: Any, keyed: Upstream) -> None:
    """`--failover restart` is granted there by waiting for the end."""
    keyed.script(broken(), words("Another story."))
    result = byte("--failover", "restart", "-m", ONE, "hi")
    assert (result.exit_code, result.stdout) == (0, "Another story.\n")


def test_what_happened_is_told_before_the_error(byte: Any, keyed: Upstream) -> None:
    """Words of two models that broke off are not shown as one model's."""
    keyed.script(broken(), broken(f"{STORY} in the dark, and"), error(500), error(500), error(500))
    result = byte("-m", ONE, "-m", TWO, "hi")
    assert result.stdout == f"{STORY} in the dark, and\n"
    assert result.exit_code == 20
    assert f"{TWO} went on, with no character lost" in result.stderr


@pytest.mark.parametrize(("policy", "asked"), [("error", 1), ("continue", 2)])
def test_the_policy_is_the_persons(byte: Any, keyed: Upstream, policy: str, asked: int) -> None:
    """`--failover error` stops at the break, `continue` goes on."""
    keyed.script(broken(), words(f"{STORY} still."))
    result = byte("--failover", policy, "-m", ONE, "-m", TWO, "hi")
    assert len(keyed.chats) == asked
    assert "--no-stream" not in result.stderr  # who wants errors told is not advised against it


def test_an_unknown_policy_is_refused(byte: Any, keyed: Upstream) -> None:
    """With the ones that there are, and before anything is sent."""
    result = byte("--failover", "hope", "hi")
    assert result.exit_code == 2
    assert "continue" in result.stderr
    assert not keyed.chats


def test_news_wait_while_words_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first word they are told at once; after it, only when the answer is over or begins anew."""
    news = News()
    seam = Seam(kind="restart", from_model="a", to_model="b", why="truncated", attempt=2, after=2, erase=2)
    assert not news.hear(Delta(event=Waiting(model="a", why="rate_limited", seconds=12.4)))
    assert "asked again in 12 s" in capsys.readouterr().err
    assert not news.hear(Delta(text="hi", event=Started(model="a", attempt=1)))
    assert not news.hear(Delta(event=FellBack(from_model="a", to_model="b", why="truncated")))
    assert capsys.readouterr().err == ""
    assert news.hear(Delta(event=seam))
    news.tell()
    told = capsys.readouterr().err
    assert (
        told == "▸ a broke off after 2 characters (truncated); b begins anew, and the words before are void\n"
    )
    assert not news.hear(Delta(text="anew"))
    assert capsys.readouterr().err == ""
