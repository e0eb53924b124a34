"""Where a connection goes, and what a request on it begins with."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bytedeck.io.place import Place, place_of
from bytedeck.io.wire import Endpoint, WireError
from bytedeck.types import Request

CREDENTIALS = ("Proxy-Authorization", "Basic dTpwOng=")  # u:p:x
TUNNEL = "CONNECT {0} HTTP/1.1\r\nhost: {0}\r\n{1}\r\n"
AUTHORIZED = "Proxy-Authorization: Basic dTpwOng=\r\n"


@pytest.mark.parametrize(
    ("url", "proxy", "place"),
    [
        ("http://h/api", None, Place("h", 80, "", b"", "h", "/api", ())),
        ("https://h:8443/api", None, Place("h", 8443, "h", b"", "h:8443", "/api", ())),
        ("https://user:pass@h", None, Place("h", 443, "h", b"", "h", "", ())),
        ("http://[::1]:8080/v1", None, Place("::1", 8080, "", b"", "[::1]:8080", "/v1", ())),
        ("http://h:81/api", "http://p:3128", Place("p", 3128, "", b"", "h:81", "http://h:81/api", ())),
        ("http://h/api", "http://u:p%3Ax@p", Place("p", 80, "", b"", "h", "http://h/api", (CREDENTIALS,))),
        ("https://h/api", "http://p:1",
         Place("p", 1, "h", TUNNEL.format("h:443", "").encode(), "h", "/api", ())),
        ("https://[::2]/api", "http://u:p%3Ax@p:1",
         Place("p", 1, "::2", TUNNEL.format("[::2]:443", AUTHORIZED).encode(), "[::2]", "/api", ())),
    ],
)  # fmt: skip
def test_places(monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None, place: Place) -> None:
    """Direct, through a proxy that reads along, and through one that tunnels."""
    if proxy is not None:
        monkeypatch.setenv("all_proxy", proxy)
    assert place_of(Endpoint(url, ())) == place
    assert place_of(Endpoint("http://127.0.0.1:1", (), is_here=True)).host == "127.0.0.1"


def test_a_place_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold a proxy's password, in the clear and in base64."""
    monkeypatch.setenv("all_proxy", "http://u:p%3Ax@p:1")
    for url in ("http://h/api", "https://h/api"):
        assert repr(place_of(Endpoint(url, ()))) == "Place('h')"


@pytest.mark.parametrize("url", ["http://SEKRET@h:port", "http://SEKRET@[::1", "http://SEKRET@h:70000"])
def test_no_place(url: str) -> None:
    """An address that is none is told, without what stands before its @."""
    with pytest.raises(WireError) as caught:
        place_of(Endpoint(url, ()))
    assert caught.value.phase == "connect"
    assert "SEKRET" not in str(caught.value)


def test_a_request() -> None:
    """One write: the line, the endpoint's headers, the request's own, and the body."""
    endpoint = Endpoint("http://h/api", (("authorization", "Bearer k"),))
    sent = place_of(endpoint).ask(
        endpoint, Request(route="openrouter", path="/x", body=b"{}", headers=(("x-title", "t"),))
    )
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/x HTTP/1.1\r\nhost: h\r\n")
    assert {b"authorization: Bearer k", b"x-title: t", b"content-length: 2"} <= set(head.split(b"\r\n"))
    assert body == b"{}"


def test_requests_that_begin_alike() -> None:
    """What requests share is made once, and nothing else is taken for shared; nor is all of it kept."""
    endpoint = Endpoint("http://h/api", (("authorization", "Bearer k"),))
    asked = Request(route="openrouter", path="/x", body=b"{}", headers=(("x-title", "t"),))
    others = [
        replace(asked, body=b"[1, 2]"), replace(asked, body=b""), replace(asked, path="/y"),
        replace(asked, headers=(("x-title", "u"),)), replace(asked, body=b"", method="GET"),
    ]  # fmt: skip
    place = place_of(endpoint)
    for request in (asked, *others, *others, asked):
        assert place.ask(endpoint, request) == place_of(endpoint).ask(endpoint, request)
    other_key = Endpoint("http://h/api", (("authorization", "Bearer l"),))
    assert b"Bearer l" in place.ask(other_key, asked)
    for number in range(200):
        place.ask(endpoint, replace(asked, headers=(("x-title", str(number)),)))
    assert len(place.starts) == 64
