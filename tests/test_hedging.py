"""Hedging, from end to end: who is late gets company, the first to speak answers, and both are in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bytedeck import Policy, StreamBroken, run
from bytedeck.events import Seam, Started
from bytedeck.health import Health, Standing
from bytedeck.money import to_usd
from bytedeck.simulator import Settings, Simulator
from bytedeck.types import Candidate
from faces import FACES, Face

SECOND = "openai/gpt-4o-mini"
HEDGE = Policy(hedge=True)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(Settings(tps=5000)) as running:
        yield running


@pytest.fixture(params=FACES)
def face(
    request: pytest.FixtureRequest, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Face]:
    """A hub whose models are late after a tenth of a second."""
    simulator.reset()
    monkeypatch.setattr(run, "UNMEASURED", 0.1)
    found = Face(request.param, simulator.base_url, api_key=simulator.api_key, database_url="memory:")
    yield found
    found.close()


def outcomes(reply: Any) -> list[tuple[str, str]]:
    return [(one.model, one.outcome) for one in reply.attempts]


@pytest.mark.parametrize("first", ["sim/slow_first_token:seconds=20", "sim/late_headers:seconds=20"])
@pytest.mark.parametrize("streamed", [True, False])
def test_who_is_late_loses(face: Face, first: str, streamed: bool) -> None:
    """The next model answers, the late one is cancelled; both have a row, and only one is an answer."""
    events: list[Any] = []
    options: dict[str, Any] = {"model": [first, SECOND], "policy": HEDGE}
    if streamed:
        text, reply = face.stream("hi", each=lambda delta: events.append(delta.event), **options)
        assert text == reply.text
        assert [event for event in events if event] == [Started(model=SECOND, attempt=2)]
    else:
        reply = face.chat("hi", **options)
    assert outcomes(reply) == [(first, "lost_race"), (SECOND, "answered")]
    assert (reply.requested_model, reply.seams) == (SECOND, ())
    assert sorted(row.outcome for row in face.rows()) == ["answered", "lost_race"]
    assert face.verify().in_flight == 0


def test_who_is_in_time_has_no_company(face: Face) -> None:
    """One attempt, as without hedging."""
    _, reply = face.stream("hi", model=["openai/gpt-4o", SECOND], policy=HEDGE)
    assert outcomes(reply) == [("openai/gpt-4o", "answered")]


def test_without_a_word_there_is_no_hedge(face: Face) -> None:
    """It is off by default: the late model is waited for."""
    late = "sim/slow_first_token:seconds=0.4"
    _, reply = face.stream("hi", model=[late, SECOND])
    assert outcomes(reply) == [(late, "answered")]


def test_a_failure_of_the_first_starts_the_next(face: Face) -> None:
    """At once, whatever is left of the patience."""
    down = "sim/overloaded"
    _, reply = face.stream("hi", model=[down, SECOND], policy=HEDGE)
    assert outcomes(reply) == [(down, "unavailable"), (SECOND, "answered")]


def test_who_lost_may_still_go_on_with_the_words(face: Face) -> None:
    """It was late, not broken: where the winner breaks off, it takes the words up."""
    late, cut = "sim/slow_first_token:seconds=0.5", "sim/truncated:tokens=20"
    seams: list[Seam] = []

    def keep(delta: Any) -> None:
        if isinstance(delta.event, Seam):
            seams.append(delta.event)

    text, reply = face.stream("hi", each=keep, model=[late, cut], policy=HEDGE)
    assert outcomes(reply) == [(late, "lost_race"), (cut, "truncated"), (late, "answered")]
    assert [(seam.from_model, seam.to_model) for seam in seams] == [(cut, late)]
    assert text == reply.text


def test_a_rival_that_breaks_is_the_one_that_is_told(face: Face) -> None:
    """It spoke, so its words stand: the first, which had failed before, is not asked again behind them."""
    down, cut = "sim/overloaded", "sim/truncated:tokens=20"
    seen: list[str] = []
    with pytest.raises(StreamBroken) as caught:
        face.stream(
            "hi",
            each=lambda delta: seen.append(delta.text),
            model=[down, cut],
            policy=Policy(hedge=True, failover="error"),
        )
    assert outcomes(caught.value) == [(down, "unavailable"), (cut, "truncated")]
    assert caught.value.partial_text == "".join(seen) != ""


def test_where_all_fail_the_first_one_has_its_tries(face: Face) -> None:
    """A race without a winner costs nobody a retry."""
    once = "sim/server:times=1"
    _, reply = face.stream("hi", model=[once, "sim/overloaded"], policy=HEDGE)
    assert outcomes(reply)[0] == (once, "server_error")
    assert outcomes(reply)[-1] == (once, "answered")


@pytest.mark.parametrize(("share", "begun"), [(1.2, 1), (2.5, 2)])
def test_both_have_to_be_affordable(face: Face, share: float, begun: int) -> None:
    """Under a bound on cost a second attempt that could pass it is not begun."""
    options: dict[str, Any] = {"max_tokens": 20, "headers": {"X-Sim-Fault": "slow_first_token:seconds=0.4"}}
    dear = "anthropic/claude-sonnet-4.5"
    face.chat("hi", model=dear, max_cost="2")  # so that the prices are known
    worst = to_usd(int(explained(face, dear).worst_units * share))
    reply = face.chat("hi", model=[dear, "openai/gpt-4o"], policy=HEDGE, max_cost=worst, **options)
    assert len(reply.attempts) == begun
    assert [outcome for _, outcome in outcomes(reply)].count("answered") == 1


def explained(face: Face, model: str) -> Any:
    found = face.hub.explain("hi", model=model, max_tokens=20)
    return found if face.loop is None else face.run(found)


@pytest.mark.parametrize(
    ("standing", "patience"),
    [
        (Standing(), 10.0),
        (Standing(first_token_p95=2.5, measured=19), 10.0),
        (Standing(first_token_p95=2.5, measured=20), 2.5),
    ],
)
def test_late_is_what_is_unusual_for_the_model(standing: Standing, patience: float) -> None:
    """Its own p95, where enough answers were measured."""
    who = Candidate(model="a/b", name="B", route="openrouter", why="")
    assert run.usual(Health(models={"a/b": standing}), who) == patience
