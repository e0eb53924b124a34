"""A bound on cost needs prices: where there are none yet, they are fetched before the request."""

from __future__ import annotations

import asyncio

import pytest

from bytedeck import AsyncHub, BudgetExceeded, Hub
from canary import CANARY
from upstream import CHAT, MODEL, Upstream, error


def _paths(upstream: Upstream) -> list[str]:
    return [seen.path.removeprefix("/api/v1") for seen in upstream.requests]


def test_the_first_request_of_all_may_be_bounded(upstream: Upstream) -> None:
    """On a fresh machine `max_cost` works at once."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        assert hub.chat("hi", model=MODEL, max_tokens=100, max_cost="0.05").whole
    assert _paths(upstream) == ["/models/user", CHAT]


def test_async(upstream: Upstream) -> None:
    """The same on the async face."""

    async def main() -> None:
        async with AsyncHub(api_key=CANARY, base_url=upstream.url) as hub:
            assert (await hub.chat("hi", model=MODEL, max_tokens=100, max_cost="0.05")).whole

    asyncio.run(main())
    assert _paths(upstream) == ["/models/user", CHAT]


def test_no_prices_to_be_had(upstream: Upstream) -> None:
    """Without prices nothing is sent to a model, and the catalogue is not asked for again at once."""
    for path in ("/models/user", "/models"):
        upstream.on(path, error(500, message="not now"))
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        for _ in range(2):
            with pytest.raises(BudgetExceeded, match="price of"):
                hub.chat("hi", model=MODEL, max_cost="0.05")
    assert _paths(upstream) == ["/models/user", "/models"]
