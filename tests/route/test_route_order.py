"""What health changes in a chain: who is asked later and why that is told, keys that are refused, lessons."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck import config
from bytedeck.errors import AuthenticationFailed, InsufficientCredits
from bytedeck.health import Health, Standing
from bytedeck.route.catalog import Catalog
from bytedeck.route.choose import choose
from bytedeck.types import Ask, Model, Plan

CONFIG = config.load()
LOCAL = CONFIG.local.id
A, B, C = "a/one", "b/two", "c/three"
OPEN = Standing(
    state="open", failures=3, last_failure="rate_limited", failed_ago=12.3, again_in=4.0, may_repeat=False
)
DEAD = Standing(state="open", failures=1, last_failure="model_not_found", failed_ago=200.0, may_repeat=False)
SHAKY = Standing(may_repeat=False, last_failure="truncated", failed_ago=0.4, attempts=20, error_rate=0.5)
DUE = Standing(state="half_open", failures=3, last_failure="unavailable", failed_ago=6.0, may_repeat=False)
PROBED = Standing(state="half_open", probing=True, failures=3, last_failure="unavailable", failed_ago=6.0)
WELL = Standing(attempts=50, error_rate=0.1, last_failure="truncated", failed_ago=3.0)


def plan(*named: str, health: Health, catalog: Catalog | None = None, **ask: Any) -> Plan:
    request = Ask(id="0", messages=({"role": "user", "content": "hi"},), models=named, key="…1234", **ask)
    return choose(request, CONFIG, catalog, has_key=True, has_local=True, health=health)


def ids(found: Plan) -> list[str]:
    return [one.model for one in found.candidates]


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (OPEN, "it failed 3 times in a row (rate limited, 12 s ago)"),
        (DEAD, "it failed (model not found, 3 min ago)"),
        (SHAKY, "half or more of its attempts fail (truncated, 0 s ago)"),
        (PROBED, "it has failed, and another request is trying it now"),
    ],
)
def test_who_fails_is_asked_last(standing: Standing, why: str) -> None:
    """Never left out; the move, and nothing else, is told."""
    found = plan(A, B, C, health=Health(models={A: standing}))
    assert ids(found) == [B, C, A]
    assert found.notes == (f"{A} is asked last: {why}.",)
    assert plan(A, health=Health(models={A: standing})) == plan(A, health=Health())
    assert plan(B, C, A, health=Health(models={A: standing})) == plan(B, C, A, health=Health())


@pytest.mark.parametrize("standing", [WELL, DUE, Standing()])
def test_who_is_well_or_due_keeps_its_place(standing: Standing) -> None:
    """A half-open one is asked where it stands: that is how it recovers."""
    assert plan(A, B, health=Health(models={A: standing})) == plan(A, B, health=Health())


def test_where_all_fail_nothing_is_moved() -> None:
    """The order is then the caller's."""
    found = plan(A, B, health=Health(models={A: OPEN, B: SHAKY}))
    assert (ids(found), found.notes) == ([A, B], ())


def test_several_that_fail_keep_their_order() -> None:
    """Behind those that do not; each that was moved is told."""
    found = plan(A, B, C, health=Health(models={A: OPEN, B: OPEN}))
    assert ids(found) == [C, A, B]
    assert len(found.notes) == 2


def test_a_tasks_models_are_moved_as_well() -> None:
    """Before it is decided how many of them are tried."""
    chain = CONFIG.tasks["coding"].models
    found = plan(task="coding", health=Health(models={chain[0]: OPEN}))
    assert ids(found) == [*chain[1:], chain[0]]


@pytest.mark.parametrize(
    ("code", "error"), [("authentication", AuthenticationFailed), ("key_limit", InsufficientCredits)]
)
@pytest.mark.parametrize(("state", "probing", "again"), [("open", False, 3.0), ("half_open", True, None)])
def test_a_refused_key_is_told_at_once(
    code: str, error: Any, state: Any, probing: bool, again: float | None
) -> None:
    """With the fault's own error, and when to come back."""
    standing = Standing(
        state=state, probing=probing, failures=3, last_failure=code, failed_ago=2.0, again_in=again
    )
    with pytest.raises(error) as caught:
        plan(A, B, health=Health(keys={"…1234": standing}))
    assert (caught.value.code, caught.value.retry_after) == (code, again or 1.0)
    assert "Nothing was sent" in caught.value.detail
    assert plan(A, B, health=Health(keys={"…9999": standing})) == plan(A, B, health=Health())


def test_a_refused_key_leaves_the_local_model() -> None:
    """Where the chain has it; alone it needs no key, and nothing is said of it."""
    health = Health(keys={"…1234": Standing(state="open", last_failure="authentication", again_in=3.0)})
    found = plan(A, LOCAL, health=health)
    assert ids(found) == [LOCAL]
    assert any(note.startswith("OpenRouter is not asked: Invalid API key") for note in found.notes)
    assert plan(LOCAL, health=health).notes == ()


def test_a_key_that_is_due_may_be_tried() -> None:
    """By the request that holds the claim."""
    health = Health(keys={"…1234": Standing(state="half_open", last_failure="authentication")})
    assert ids(plan(A, health=health)) == [A]
    with pytest.raises(AuthenticationFailed):
        plan(A, health=health.without_key("…1234"))


def test_what_models_have_taught() -> None:
    """A refusal weighs more than what the registry says."""
    sonnet = "anthropic/claude-3.7-sonnet"
    listed = Model(id=sonnet, name="S")
    catalog = Catalog(models=(listed,), by_id={sonnet: listed})
    health = Health(
        learnt={sonnet: frozenset({"no_prefill", "reasoning_mandatory"}), B: frozenset({"no_prefill"})}
    )
    first, second, third = plan(sonnet, B, LOCAL, catalog=None, health=health).candidates
    assert (first.prefill, second.prefill, third.prefill) == (False, False, CONFIG.prefill.get(LOCAL))
    assert plan(C, health=Health(learnt={C: frozenset({"reasoning_mandatory"})})) == plan(C, health=Health())
    (known,) = plan(sonnet, catalog=catalog, health=health).candidates
    assert known.info is not None
    assert known.info.reasoning_mandatory
    assert not listed.reasoning_mandatory
