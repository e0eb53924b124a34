"""Hostile bodies at every POST route: a short slice of scripts/fuzz-gateway."""

from __future__ import annotations

import asyncio

import pytest

from fuzz_gateway import SCRIPTS, Answer, judged, routes, run


def test_no_body_is_answered_with_500(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered, or refused with a sentence, whatever the upstream does; and not all are refused."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "none")
    monkeypatch.setattr("fuzz_gateway.BATCH", 60)
    found = asyncio.run(run(60 * len(SCRIPTS), "7", routes()))
    assert not found.troubles
    assert {path for path, _ in found.statuses} == set(routes())
    asked = {path.rpartition("/")[2] for path, status in found.statuses if status == 200}
    assert {"completions", "messages", "responses", "count_tokens"} <= asked


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b'{"error":{"message":"x"}}', b"application/json", True),
        Answer(200, b"data: x", b"text/event-stream", False),
        Answer(200, b'data: {"error":{"type":"internal"}}', b"text/event-stream", True),
        Answer(400, b'{"error":{"message":""}}', b"application/json", True),
        Answer(200, b"{", b"application/json", True),
    ],
)
def test_trouble_is_found(answer: Answer) -> None:
    """The judge lets nothing pass."""
    assert judged(answer)
    assert not judged(Answer(400, b'{"error":{"message":"no"}}', b"application/json", True))
