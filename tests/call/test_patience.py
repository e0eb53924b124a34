"""How long an attempt may be silent."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.call.patience import THINKING, may_stream, patience, thinks
from bytedeck.types import Candidate, Model, Route, Timeouts

BOUNDS = Timeouts(connect=1.0, headers=2.0, first_event=3.0, idle=4.0, total=100.0)
HEALING = {"plugins": [{"id": "web"}, {"id": "response-healing"}]}


def candidate(
    *takes: str, mandatory: bool = False, known: bool = True, route: Route = "openrouter"
) -> Candidate:
    info = Model(
        id="a/b", name="B", supported_parameters=frozenset(takes) or None, reasoning_mandatory=mandatory
    )
    return Candidate(model="a/b", name="B", route=route, why="", info=info if known else None)


PLAIN = candidate("max_tokens", "temperature")
THINKER = candidate("max_tokens", "reasoning", "include_reasoning")


def test_a_plain_stream_has_the_configured_bounds() -> None:
    """Nothing is changed where nothing is known."""
    assert patience(BOUNDS, PLAIN, {}) is BOUNDS
    assert patience(BOUNDS, candidate(known=False), {"temperature": 0}) is BOUNDS


@pytest.mark.parametrize(
    ("who", "params", "changed"),
    [
        (THINKER, {}, {"first_event": 9.0}),
        (PLAIN, HEALING, {"headers": 100.0}),
        (THINKER, HEALING, {"headers": 100.0}),
        (candidate(route="local"), {}, {"first_event": 100.0}),
        (candidate(route="local"), HEALING, {"first_event": 100.0}),
    ],
)
def test_what_is_silent_for_longer_gets_more_time(
    who: Candidate, params: dict[str, Any], changed: dict[str, float]
) -> None:
    """D2, D3 and the model on this machine: one bound each, and all others stay."""
    found = patience(BOUNDS, who, params)
    told = {name: getattr(found, name) for name in Timeouts.__struct_fields__}
    assert told == {name: getattr(BOUNDS, name) for name in Timeouts.__struct_fields__} | changed


def test_the_reference_s_own_numbers() -> None:
    """60 s by default, 180 s for a model that reasons (D3)."""
    assert patience(Timeouts(), PLAIN, {}).first_event == 60.0
    assert patience(Timeouts(), THINKER, {}).first_event == 60.0 * THINKING == 180.0


@pytest.mark.parametrize(
    ("params", "by_request"),
    [
        ({}, None),
        ({"reasoning": {"enabled": True}}, True),
        ({"reasoning": {"effort": "low"}}, True),
        ({"reasoning": {"max_tokens": 2000}}, True),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"enabled": False}}, False),
        ({"reasoning": {"enabled": False, "effort": "high"}}, False),
        ({"reasoning": {"max_tokens": 0}}, False),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning": {"exclude": True}}, None),
        ({"reasoning": "high"}, None),
        ({"reasoning": None}, None),
        ({"reasoning_effort": None}, None),
    ],
)
def test_who_thinks(params: dict[str, Any], by_request: bool | None) -> None:
    """A mandatory reasoner always, else what the request says, else what the model can do."""
    assert thinks(candidate(mandatory=True), params)
    assert thinks(THINKER, params) is (by_request is not False)
    for who in (PLAIN, candidate(), candidate(known=False)):
        assert thinks(who, params) is bool(by_request)


@pytest.mark.parametrize(
    ("plugins", "streams"),
    [
        ([{"id": "response-healing"}], False),
        ([{"id": "response-healing", "enabled": False}], True),
        ([{"id": "web"}], True),
        (["response-healing"], True),
        ([], True),
        ("response-healing", True),
        (None, True),
    ],
)
def test_what_may_stream(plugins: Any, streams: bool) -> None:
    """All but one plugin; and on this machine there are none."""
    assert may_stream({"plugins": plugins}, "openrouter") is streams
    assert may_stream({"plugins": plugins}, "local")
