"""The fixture that users get is the one that our own tests use."""

from __future__ import annotations

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.fixtures import openrouter, openrouter_server

__all__ = ["openrouter", "openrouter_server", "sim"]


@pytest.fixture
def sim(openrouter: Simulator) -> Simulator:
    """A world in which twenty seconds take twenty milliseconds."""
    openrouter.reset(scale=0.001)
    return openrouter
