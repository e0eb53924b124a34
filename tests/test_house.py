"""What a house knows at the moment of asking: the same deck as long as nothing that it tells has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from msgspec import json
from msgspec.structs import replace

from answers import CATALOGUE
from bytedeck import Hub
from bytedeck.house import House
from bytedeck.types import Ask
from canary import CANARY
from marks import begin, intent, unknown

MODEL = "openai/gpt-4o-mini"
BODY = json.encode({"data": CATALOGUE})


@pytest.fixture
def house() -> Iterator[House]:
    with Hub(api_key=CANARY) as hub:
        yield hub.house


def asked(house: House, model: str = MODEL) -> Ask:
    return house.ask(
        "hi",
        task="",
        model=model,
        system="",
        timeout=None,
        max_cost=None,
        headers=None,
        params={},
        streamed=False,
    )


def test_the_same_deck_while_nothing_changes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that come together share it, and what was worked out for it."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time", lambda: now / 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: now)
    deck = house.known(asked(house))
    assert house.known(asked(house)) is deck
    assert house.deck(asked(house, "other/model")) is deck


def _catalogue(house: House) -> None:
    house.models.take(BODY)


def _configuration(house: House) -> None:
    house.adopt(replace(house.config, retries=7))


def _no_key(house: House) -> None:
    house.adopt(replace(house.config, api_key=None))


@pytest.mark.parametrize("change", [_catalogue, _configuration, _no_key])
def test_another_deck_with_nothing_kept(house: House, change: Callable[[House], None]) -> None:
    """Another catalogue, configuration or key: what was worked out for the one before says nothing."""
    before = house.known(asked(house))
    change(house)
    after = house.known(asked(house))
    assert after.catalog is house.models.current()
    assert after.config is house.config
    assert after.has_key is (house.config.api_key is not None)
    assert after.chains is not before.chains


def test_a_local_name_is_another_deck(house: House) -> None:
    """Whether the local model can answer is looked at for who names it, and for nobody else."""
    deck = house.known(asked(house))
    local = house.known(asked(house, "local/small"))
    assert local.local_reason
    assert local.chains is not deck.chains
    assert house.known(asked(house, "some-local/model")).local_reason == ""


def test_what_passes_is_told_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The minute, by which prices may go, and how models are doing: what was worked out for a chain holds all the same."""
    first = house.known(asked(house))
    for number in (1, 2, 3):
        begin(house.watch, intent(number, model=MODEL))
        house.watch.settle(unknown(number, outcome="unavailable"))
    second = house.known(asked(house))
    assert (second.health.model(MODEL).state, second.chains is first.chains) == ("open", True)
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    third = house.known(asked(house))
    assert third.utc_minutes == (second.utc_minutes + 1) % (24 * 60)
    assert third.chains is first.chains


def test_a_script_has_a_deck_of_its_own(house: House) -> None:
    """No limit holds there and no model is ill; and nothing of it is left behind."""
    before = house.known(asked(house))
    with house.scripting():
        scripted = house.known(asked(house))
        assert (scripted.catalog, scripted.has_key) == (None, True)
    after = house.known(asked(house))
    assert after.config is before.config
    assert after.chains is not scripted.chains
