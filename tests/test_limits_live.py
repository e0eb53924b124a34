"""Rate limits in real requests: who waits, who goes to the next model, who is refused; and what is left behind."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bytedeck import Policy, RateLimited, run
from bytedeck.events import Started, Waiting
from bytedeck.guard import rules
from canary import CANARY
from faces import FACES
from limited import Deck, outcomes
from upstream import MODEL, Pause, Upstream, words

OTHER = "anthropic/claude-sonnet-4.5"
TEN = '[limits]\nper_model = "10/minute"\n'
LABEL = f"…{CANARY[-4:]}"


@pytest.fixture(params=FACES)
def deck(
    request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deck]:
    made = Deck(request.param, upstream, tmp_path / "home", monkeypatch)
    yield made
    made.close()


def levels(face: Any, model: str, task: str = "") -> Any:
    """How full the buckets are that a request to a model takes from."""
    found = face.hub.house
    taken = rules.buckets(found.config.rules, model, found.key_label, task)
    return found.store.standing(taken, ()).levels


@pytest.mark.parametrize("streamed", [False, True])
def test_the_eleventh_waits(deck: Deck, streamed: bool) -> None:
    """Ten a minute: ten at once, and the eleventh six seconds later, by the same model; who reads a stream is told."""
    face, events = deck(TEN), []
    for _ in range(10):
        face.chat(model=MODEL)
    assert deck.clock.pauses == []
    if streamed:
        _, reply = face.stream(model=MODEL, each=lambda delta: events.append(delta.event))
        waiting, started = [event for event in events if event]
        assert (waiting.model, waiting.why) == (MODEL, "over_limit")
        assert isinstance(waiting, Waiting)
        assert 0 < waiting.seconds <= 6
        assert started == Started(model=MODEL, attempt=1)
    else:
        reply = face.chat(model=MODEL)
    assert outcomes(reply) == [(MODEL, "answered")]
    assert reply.notes == ()
    assert 0 < sum(deck.clock.pauses) <= 6
    assert len(deck.upstream.chats) == len(face.rows()) == 11


def test_each_model_has_a_bucket_of_its_own(deck: Deck) -> None:
    """What one model may not do another one may."""
    face = deck(TEN)
    for _ in range(10):
        face.chat(model=MODEL)
    face.chat(model=OTHER)
    assert deck.clock.pauses == []


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("wait", "timeout"), [("2", None), ("60", 3)])
def test_who_would_wait_too_long_asks_the_next(deck: Deck, wait: str, timeout: Any, streamed: bool) -> None:
    """Longer than `limits.wait`, or than the request has time: the next model of the chain, and a note."""
    face = deck(f"{TEN}wait = {wait}\n")
    for _ in range(10):
        face.chat(model=MODEL)
    options: dict[str, Any] = {"model": [MODEL, OTHER], "timeout": timeout}
    reply = face.stream(**options)[1] if streamed else face.chat(**options)
    assert outcomes(reply) == [(OTHER, "answered")]
    assert reply.requested_model == OTHER
    (note,) = reply.notes
    assert note.startswith("GPT-4o mini was not asked: the limit of 10 requests a minute to ")
    assert deck.clock.pauses == []
    assert len(deck.upstream.chats) == 11


@pytest.mark.parametrize("streamed", [False, True])
def test_alone_it_is_refused(deck: Deck, streamed: bool) -> None:
    """With the limit's name and the moment to come back; nothing was sent, written or taken."""
    face = deck(f"{TEN}wait = 2\n")
    for _ in range(10):
        face.chat(model=MODEL)
    before = levels(face, MODEL)
    with pytest.raises(RateLimited) as caught:
        _ = face.stream(model=MODEL) if streamed else face.chat(model=MODEL)
    error = caught.value
    assert (error.code, error.exit_code, error.http_status) == ("over_limit", 13, 429)
    assert "limit of 10 requests a minute to the model openai/gpt-4o-mini" in str(error)
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 6
    assert error.attempts == ()
    assert len(deck.upstream.chats) == len(face.rows()) == 10
    assert levels(face, MODEL) == before


def test_all_of_several_or_none(deck: Deck) -> None:
    """Who is refused by one limit takes nothing from the others."""
    face = deck('[limits]\nrequests = "2/minute"\nper_model = "10/minute"\nwait = 0\n')
    for _ in range(2):
        face.chat(model=MODEL)
    before = levels(face, MODEL)
    for _ in range(5):
        with pytest.raises(RateLimited, match="he limit of 2 requests a minute is reached"):
            face.chat(model=MODEL)
    assert levels(face, MODEL) == before


def test_the_longest_wait_counts(deck: Deck) -> None:
    """Of two limits that are in the way the slower one is waited for, once."""
    face = deck('[limits]\nrequests = "1/second"\nper_model = "6/minute, burst 1"\n')
    face.chat(model=MODEL)
    face.chat(model=MODEL)
    assert 5 < sum(deck.clock.pauses) <= 10  # one second would be enough for the other


def test_a_limit_of_a_key(deck: Deck) -> None:
    """It holds for that key alone."""
    settings = f'[limits]\nwait = 0\n[keys."{LABEL}".limits]\nrequests = "1/minute"\n'
    mine, others = deck(settings), deck(settings, api_key=CANARY[:-4] + "wxyz")
    mine.chat(model=MODEL)
    with pytest.raises(RateLimited, match=f"with the key {LABEL} is reached"):
        mine.chat(model=MODEL)
    others.chat(model=MODEL)
    others.chat(model=MODEL)


def test_a_limit_of_a_task(deck: Deck) -> None:
    """By whatever name the task is called; other tasks, and who names a model, are free."""
    face = deck('[limits]\nwait = 0\n[tasks.multiAgent.limits]\nrequests = "1/minute"\n')
    face.chat(task="multi_agent")
    with pytest.raises(RateLimited, match="of the task multi_agent is reached"):
        face.chat(task="multiAgent")
    face.chat(task="coding")
    face.chat(model=MODEL)


def test_two_hubs_share_a_limit(deck: Deck) -> None:
    """They write to one ledger, so their requests are counted together."""
    first, second = deck(f"{TEN}wait = 0\n"), deck(f"{TEN}wait = 0\n")
    for _ in range(5):
        first.chat(model=MODEL)
        second.chat(model=MODEL)
    for face in (first, second):
        with pytest.raises(RateLimited):
            face.chat(model=MODEL)


def test_tokens_that_were_not_used_come_back(deck: Deck) -> None:
    """What an attempt may use is taken, and what it did not use is given back at its end."""
    face = deck('[limits]\ntokens = "1000/minute"\nwait = 0\n')
    for _ in range(8):  # of 900 and some that each may use, 9 are used
        face.chat(model=MODEL, max_tokens=800)
    assert deck.held(face) == 0
    holds: list[int] = []
    deck.upstream.script(words("one two three", usage=None))
    face.stream(model=MODEL, max_tokens=800, each=lambda _: holds.append(deck.held(face)))
    assert holds[0] == 1
    assert deck.held(face) == 0
    with pytest.raises(RateLimited, match="he limit of 1000 tokens a minute is reached"):
        face.chat(model=MODEL, max_tokens=800)  # how many the last one used nobody told


def test_what_never_fits_is_told_at_once(deck: Deck) -> None:
    """More tokens than ever get through at once: no wait would help, a smaller cap does."""
    face = deck('[limits]\ntokens = "1000/minute"\n')
    with pytest.raises(RateLimited) as caught:
        face.chat(model=MODEL, max_tokens=1000)
    assert (caught.value.code, caught.value.retry_after) == ("over_burst", None)
    assert "lets 1000 through at once" in str(caught.value)
    assert "max_tokens" in caught.value.hint[0]
    assert deck.clock.pauses == []
    assert face.chat(model=MODEL, max_tokens=500).whole


# -- beside others -------------------------------------------------------------------------------

HEDGE = Policy(hedge=True)
PAIR = ["openai/gpt-4o-mini", OTHER]
ONE = '[limits]\nwait = 0\n[limits.models."{}"]\nrequests = "1/minute"\n'


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is late after a twentieth of a second."""
    monkeypatch.setattr(run, "UNMEASURED", 0.05)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("streamed", [False, True])
def test_a_second_leg_may_be_refused(deck: Deck, streamed: bool) -> None:
    """The first one is late, the next one may not go: the first one answers, as if nobody had tried."""
    face = deck(ONE.format(OTHER))
    face.chat(model=OTHER)
    deck.upstream.script(words().first(Pause(0.3)))
    options: dict[str, Any] = {"model": PAIR, "policy": HEDGE}
    reply = face.stream(**options)[1] if streamed else face.chat(**options)
    assert outcomes(reply) == [(MODEL, "answered")]
    assert len(face.rows()) == len(deck.upstream.chats) == 2
    assert face.verify().ok


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("streamed", [False, True])
def test_a_first_leg_may_be_refused(deck: Deck, streamed: bool) -> None:
    """Where a race would follow, the next model answers at once instead of a wait."""
    face = deck(ONE.format(MODEL))
    face.chat(model=MODEL)
    options: dict[str, Any] = {"model": PAIR, "policy": HEDGE}
    reply = face.stream(**options)[1] if streamed else face.chat(**options)
    assert outcomes(reply) == [(OTHER, "answered")]
    assert len(face.rows()) == 2


@pytest.mark.usefixtures("_soon")
def test_a_leg_that_goes_on_takes_from_its_limit(deck: Deck) -> None:
    """Who hedges pays for both: two attempts, two requests of the limit."""
    face = deck('[limits]\nrequests = "2/minute"\nwait = 0\n')
    deck.upstream.script(words().first(Pause(5)), words())
    reply = face.chat(model=PAIR, policy=HEDGE)
    assert outcomes(reply) == [(MODEL, "lost_race"), (OTHER, "answered")]
    with pytest.raises(RateLimited):
        face.chat(model=MODEL)


# -- leaving -------------------------------------------------------------------------------------


def _full(deck: Deck) -> Any:
    """A hub whose next request really waits, for a minute."""
    face = deck('[limits]\nrequests = "1/minute"\ntokens = "100000/minute"\n', is_patient=True)
    face.chat(model=MODEL)
    return face


def _untouched(deck: Deck, face: Any, before: Any) -> None:
    """Who left while it waited has sent, written and taken nothing."""
    assert len(deck.upstream.chats) == len(face.rows()) == 1
    assert levels(face, MODEL) == before
    assert deck.held(face) == 0
    assert face.verify().ok


def test_closed_while_it_waits(deck: Deck) -> None:
    """A stream that is closed where it says that it waits."""
    face = _full(deck)
    before = levels(face, MODEL)
    face.leave_after(1, model=MODEL)
    _untouched(deck, face, before)


@pytest.mark.parametrize("deck", ["sync"], indirect=True)
def test_ctrl_c_while_it_waits(deck: Deck) -> None:
    """It comes out as itself, at once."""
    face, main = _full(deck), threading.main_thread().ident
    before = levels(face, MODEL)
    assert main is not None
    with face.hub.stream("hi", model=MODEL) as stream:
        assert isinstance(next(stream).event, Waiting)
        threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    _untouched(deck, face, before)


@pytest.mark.parametrize("deck", ["async"], indirect=True)
def test_cancelled_while_it_waits(deck: Deck) -> None:
    """A task that is cancelled while its request waits for a limit."""
    face = _full(deck)
    before = levels(face, MODEL)

    async def main() -> None:
        async with face.hub.stream("hi", model=MODEL) as stream:
            assert isinstance((await anext(stream)).event, Waiting)
            going_on = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            going_on.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going_on

    face.run(main())
    _untouched(deck, face, before)


# -- without a ledger ----------------------------------------------------------------------------


def test_a_limit_fails_open(deck: Deck) -> None:
    """Where the ledger cannot be written, a rate limit holds nobody back, and the answer says so."""
    deck.ledger.mkdir()
    face = deck('[limits]\nrequests = "1/minute"\n')
    for _ in range(3):
        (note,) = face.chat(model=MODEL).notes
        assert "This answer's cost is not recorded." in note
