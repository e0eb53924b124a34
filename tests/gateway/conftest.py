"""A gateway before a simulator that the test shares with nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.fixtures import openrouter, openrouter_server
from gateways import Gateway

__all__ = ["gateway", "openrouter", "openrouter_server", "sim"]


@pytest.fixture
def sim(openrouter: Simulator) -> Simulator:
    """A world in which twenty seconds take twenty milliseconds."""
    openrouter.reset(scale=0.001)
    return openrouter


@pytest.fixture
def gateway(sim: Simulator) -> Iterator[Gateway]:
    """`byte serve` before the simulator."""
    with Gateway() as running:
        yield running
