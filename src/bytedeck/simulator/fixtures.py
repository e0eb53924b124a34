"""pytest's fixture `openrouter`: a local OpenRouter for each test, with a stopped clock and a fixed seed.

In a conftest.py:

    pytest_plugins = ["bytedeck.simulator.fixtures"]

In a test:

    def test_rate_limit(openrouter):
        openrouter.fault("rate_limit;retry_after=2", times=1)
        ...  # whatever reads OPENROUTER_BASE_URL and OPENROUTER_API_KEY talks to it
        assert len(openrouter.journal()) == 2
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .thread import Simulator


@pytest.fixture(scope="session")
def openrouter_server() -> Iterator[Simulator]:
    """The server behind `openrouter`: one for the whole session, since starting one takes longer than a test."""
    with Simulator(frozen=True) as simulator:
        yield simulator


@pytest.fixture
def openrouter(openrouter_server: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A world as new, to which OPENROUTER_BASE_URL and OPENROUTER_API_KEY lead.

    `openrouter.reset(tps=20, scale=0.01)` begins the test with other settings.
    """
    openrouter_server.reset()
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter_server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", openrouter_server.api_key)
    return openrouter_server
