"""The docs page of the admin API names every operation, every metric and every field of the log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asgi_asks import ask
from bytedeck import AsyncHub
from bytedeck.gateway.admin.table import OPERATIONS
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.watch import logs, metrics

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        *(f"| `{one.method} /admin/{one.path}` |" for one in OPERATIONS),
        *(f"`{name}`" for name in (*metrics.COUNTERS, *metrics._MEANING)),
        *(f'"{name}":' for name in logs.Line.__struct_fields__ if name != "seams"),
    ],
)
def test_it_stands_in_the_docs(name: str) -> None:
    """Each has its place."""
    assert name in PAGE


async def test_what_is_measured_is_what_stands_there() -> None:
    """By the same names: a page of numbers has all that the docs tell, and nothing else."""
    app = App(AsyncHub(), Settings(grace=0.0))
    told = (await ask(app, "GET", "/metrics")).body.decode()
    await app.aclose()
    table = PAGE[PAGE.index("## Metrics") : PAGE.index("## Logs")]
    assert set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE)) == set(re.findall(r"`(byte_\w+)`", table))
