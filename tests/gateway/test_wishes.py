"""What a client's headers wish."""

from __future__ import annotations

import pytest

from bytedeck.gateway.wishes import passed_on


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, ()),
        (
            {b"authorization": b"Bearer x", b"http-referer": b"me", b"x-session-id": b"s"},
            (("x-session-id", "s"),),
        ),
        ({b"anthropic-beta": b"tools"}, (("x-anthropic-beta", "tools"),)),
        ({b"anthropic-beta": b"tools", b"x-anthropic-beta": b"own"}, (("x-anthropic-beta", "own"),)),
    ],
)
def test_what_goes_on(given: dict[bytes, bytes], sent: tuple[tuple[str, str], ...]) -> None:
    """OpenRouter's own headers of a request, and Anthropic's by OpenRouter's name; never a key, nor who the app is."""
    assert passed_on(given) == sent
