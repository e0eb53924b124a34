"""How much one request asks of its models at most, and how long it waits for them (wire reference, section 7, defaults)."""

from __future__ import annotations

import itertools
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from bytedeck.call.retry import SHORT_WAIT
from bytedeck.health import Health, Standing
from decisions import CHAIN, CONFIG, NOW, TEXT, WELL, Act, Played, after, before, deck, finish, page, refusal

MODELS = tuple(CHAIN.values())
KINDS = {
    "lost": Act(end="lost"),
    "500": refusal(500),
    "503": refusal(503),
    "429": refusal(429),
    "truncated": before(),
    "empty": before(finish("stop")),
}
"""Failures after which the same model is asked again, at least once."""


def ask(*bad: Act, everyone: bool = False, known: Any = None, **fields: Any) -> Played:
    """A request to three models of which the first, or every one, fails like this."""
    letters = "ABCDEFG" if everyone else "A"
    return Played(
        dict.fromkeys(letters, bad), {"models": MODELS, "streamed": True, **fields}, known or deck()
    )


def asked(played: Played) -> str:
    """Who was asked, in order: `AABC`."""
    return "".join(one.split()[0] for one in played.goes.split(", "))


@pytest.mark.parametrize("streamed", [True, False])
def test_two_repeats_of_a_model_at_most(streamed: bool) -> None:
    """Whatever it fails with, in whatever order, and whether another model is left or not."""
    for kinds in itertools.product(KINDS, repeat=3):
        acts = [KINDS[kind] for kind in kinds]
        first = asked(ask(*acts, WELL, streamed=streamed))
        assert first.removesuffix("B") in ("AA", "AAA"), kinds
        assert len(asked(ask(*acts, streamed=streamed, models=MODELS[:1]))) <= 3
        assert len(asked(ask(*acts, everyone=True, streamed=streamed))) <= 9


def test_fewer_by_configuration() -> None:
    """`retries` = 0: each model is asked once."""
    known = deck(msgspec.structs.replace(CONFIG, retries=0))
    assert asked(ask(refusal(503), everyone=True, known=known)) == "ABC"


def test_three_models_of_a_task_and_all_that_were_named() -> None:
    """A task's chain may be longer, but only three of it are tried; a chain of one's own is tried whole."""
    chain = tuple(f"maker/{n}" for n in range(5))
    general = msgspec.structs.replace(CONFIG.tasks["general"], models=chain)
    known = deck(msgspec.structs.replace(CONFIG, tasks={**CONFIG.tasks, "general": general}))
    gone = refusal(404, "No endpoints found for it.")
    assert asked(ask(gone, everyone=True, known=known, models=(), task="general")) == "ABC"
    assert asked(ask(gone, everyone=True, known=known, models=chain)) == "ABCDE"


@pytest.mark.parametrize("name", KINDS)
def test_who_mostly_fails_is_not_asked_twice(name: str) -> None:
    """Where repeats are used up the next model is asked at once; the last one has them all the same."""
    tired = dict.fromkeys(MODELS, Standing(may_repeat=False))
    played = ask(KINDS[name], everyone=True, known=deck(health=Health(models=tired)))
    assert asked(played) in ("ABCC", "ABCCC")
    assert asked(ask(KINDS[name], everyone=True)) == "".join(one * asked(played).count("C") for one in "ABC")


def test_who_mostly_fails_is_asked_last() -> None:
    """And there it may repeat."""
    health = Health(models={MODELS[0]: Standing(may_repeat=False)})
    played = Played({}, {"models": MODELS}, deck(health=health))
    assert played.models == [*MODELS[1:], MODELS[0]]


TOTALS = (0.3, 1.0, 5.0, 20.0, 59.9, 600.0)


@pytest.mark.parametrize(
    "act",
    [
        *KINDS.values(),
        refusal(503, headers={"retry-after": "4"}),
        refusal(429, headers={"retry-after": "45"}),
        page(502),
        Act(end="silent"),
        before(end="stall"),
        after(end="stall"),
        after(every=7.0),
        Act(end="refused", opens=3.0),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_the_deadline_bounds_it_all(act: Act, streamed: bool) -> None:
    """Attempts, silences and pauses together; a pause that would pass it is not begun."""
    for total, chain in itertools.product(TOTALS, (MODELS, MODELS[:1])):
        played = ask(act, everyone=True, streamed=streamed, models=chain, total_timeout=total)
        assert played.error is not None
        assert played.world.now <= 1000 + total + 1e-6


HINTS = (0.0, 0.2, 3.0, 9.9, 10.0, 10.1, 40.0, 60.0, 61.0, 3600.0)


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500])
@pytest.mark.parametrize("hint", HINTS)
def test_a_hint_is_never_undercut(status: int, hint: float) -> None:
    """A repeat comes after it, by a tenth of it or half a second at most; no long one is waited for while others are left."""
    act = refusal(status, headers={"retry-after": f"{hint}"})
    for n in range(20):
        id_ = f"{n:032x}"
        played = ask(act, id=id_)
        assert (asked(played)[1] == "A") == (hint <= SHORT_WAIT)
        alone = ask(act, id=id_, models=MODELS[:1])
        assert (len(asked(alone)) > 1) == (hint <= 60)
        for pause in played.world.pauses + alone.world.pauses:
            assert hint <= pause <= hint + max(0.5, hint / 10)


def stamp(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": stamp(7)}, 7.0),
        ({"retry-after": stamp(-3600)}, 0.0),  # it is over
        ({"retry-after-ms": "7000"}, 7.0),
        ({"retry-after": "30", "retry-after-ms": "7000"}, 7.0),  # the smallest believable one
        ({"retry-after": "7000"}, None),
        ({"retry-after": "86400000"}, 0.0),  # absurd: as if nothing were said
        ({"retry-after": "1e400"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": ""}, 0.0),
        ({}, 0.0),
        ({"retry-after": stamp(40)}, None),
        (
            {"retry-after": stamp(4000), "date": stamp(3993)},
            7.0,
        ),  # the server's clock is wrong, and its hint by that clock
    ],
)
def test_every_way_to_tell_a_time(headers: dict[str, str], least: float | None) -> None:
    """Seconds, a date, milliseconds, nonsense. None: too far away to wait for while another model is left."""
    played = ask(refusal(503, headers=headers), WELL)
    assert played.reply.text == TEXT
    assert asked(played) == ("AB" if least is None else "AA")
    assert len(played.world.pauses) == (least is not None)
    for pause in played.world.pauses:
        assert least <= pause <= least + max(0.5, least / 10)


@pytest.mark.parametrize("how", [Act(end="silent"), before(end="stall")])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_silent_route_is_not_sent_the_same_again(how: Act, streamed: bool) -> None:
    """It may still be working, and billing (D2, D3): not by the same request, though it had failed otherwise before."""
    for acts in ((how,), (refusal(500), how), (Act(end="lost"), how)):
        for chain in (MODELS, MODELS[:1]):
            played = ask(*acts, streamed=streamed, models=chain)
            outcomes = [one.outcome for one in played.reply.attempts if one.model == MODELS[0]]
            assert outcomes[-1] in ("headers_timeout", "first_event_timeout")
            assert len(outcomes) == len(acts)


def test_a_silent_route_is_not_asked_again_behind_another_ones_words() -> None:
    """Who broke off may go on once all others were asked; not if it falls silent then."""
    played = ask(after(), Act(end="silent"), everyone=True)
    assert played.goes == (
        "A truncated, B truncated, C truncated, A headers_timeout, B headers_timeout, C headers_timeout"
    )
