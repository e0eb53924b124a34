"""What every test gets: a scrubbed environment, a home of its own, the look-out for the canary key.

Tests take their helpers from `upstream` and `canary`, which stand beside this file.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from canary import CANARY, assert_no_canary
from faces import FACES, Face
from upstream import Upstream

_OURS_TO_SET = re.compile(
    r"(OPENROUTER|BYTE|OPENAI|ANTHROPIC|UVICORN|OTEL)_?.*|.*_PROXY|NO_COLOR|FORCE_COLOR|CLICOLOR.*"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|NETRC|XDG_.*",
    re.IGNORECASE,
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own keys, proxies and settings; a home in the test's folder."""
    for name in filter(_OURS_TO_SET.fullmatch, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("BYTE_HOME", str(tmp_path / "home"))
    # A .netrc would add an Authorization header of its own.
    monkeypatch.setenv("NETRC", os.devnull)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A real server on 127.0.0.1 that answers as the test says."""
    with Upstream() as server:
        yield server


class _Collector(logging.Handler):
    """Keeps each record as the text that a log file would hold, traceback included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    """Every line that any logger wrote, from DEBUG on. The canary key must be in none of them."""
    collector = _Collector()
    root = logging.getLogger()
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    try:
        yield collector.lines
    finally:
        root.setLevel(level)
        root.removeHandler(collector)
    assert_no_canary("\n".join(collector.lines))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Nor may the key be in what a test's code printed."""
    report = yield
    # A report repeats the sections of the phases before it; logs have their own look-out.
    titles = {f"Captured {stream} {call.when}" for stream in ("stdout", "stderr")}
    shown = [title for title, text in report.sections if title in titles and CANARY in text]
    if shown:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: the canary key stands in: {', '.join(shown)}"
    return report


def pytest_make_parametrize_id(config: pytest.Config, val: Any, argname: str) -> str | None:
    """Long bytes make unreadable test names."""
    return f"{argname}{len(val)}b" if isinstance(val, bytes) and len(val) > 24 else None


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[Face]:
    """A hub in front of `upstream`: blocking, and async on both wires."""
    made = Face(request.param, upstream.url)
    yield made
    made.close()
