"""Bytes to events, for any slicing, against the HTML standard's rules and httpx2's decoder."""

from __future__ import annotations

import itertools
import tracemalloc

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.codec.sse import LIMIT, Decoder, EventTooLarge

from .recorded import ALL

CASES = [
    ("one event", b"data: a\n\n", [b"a"]),
    ("two events", b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    ("no space", b"data:a\n\n", [b"a"]),
    ("only one space goes", b"data:  a\n\n", [b" a"]),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    ("CR", b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    ("mixed ends", b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [b"a", b"b", b"c"]),
    ("several lines", b"data: a\ndata: b\ndata:c\n\n", [b"a\nb\nc"]),
    ("an empty line of data in between", b"data: a\ndata\ndata:\ndata: b\n\n", [b"a\n\n\nb"]),
    ("comments", b": OPENROUTER PROCESSING\n\n:\n\n: data: x\n\ndata: a\n\n", [b"a"]),
    ("a comment before events", b": hm\n\ndata: a\n\ndata: b\n\n", [b"a", b"b"]),
    ("a bare comment before events", b":\n\ndata: a\n\ndata: b\n\n", [b"a", b"b"]),
    ("a comment in the first event", b": hm\ndata: a\n\ndata: b\n\n", [b"a", b"b"]),
    ("a comment before odd ones", b": hm\n\ndata:a\n\ndata: b\ndata: c\n\n", [b"a", b"b\nc"]),
    ("comment inside an event", b"data: a\n: hm\ndata: b\n\n", [b"a\nb"]),
    ("other fields", b"event: message\nid: 7\nretry: 10\nfoo\ndata: a\n\n", [b"a"]),
    ("event without data", b"event: ping\n\n", []),
    ("empty data", b"data:\n\ndata: \n\ndata\n\n", []),
    ("not the field data", b"database: a\n\ndata : b\n\n data: c\n\n", []),
    ("BOM", b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    ("BOM only at the start", b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    ("half a BOM", b"\xef\xbbdata: a\n\ndata: b\n\n", [b"b"]),
    (
        "U+2028, U+0085, FF, VT are text",
        "data: a\u2028b\u0085c\fd\ve\n\n".encode(),
        ["a\u2028b\u0085c\fd\ve".encode()],
    ),
    ("text that looks like an event", b"data: a\n\ndata: x\\n\\ndata: y\n\n", [b"a", b"x\\n\\ndata: y"]),
    ("blank lines", b"\n\n\ndata: a\n\n\n\n", [b"a"]),
    ("unfinished", b"data: a\n\ndata: b\n", [b"a"]),
    ("unfinished line", b"data: a\n\ndata: b", [b"a"]),
]


def decode(slices: list[bytes]) -> list[bytes]:
    decoder = Decoder()
    return [event for piece in slices for event in decoder.feed(piece)]


@pytest.mark.parametrize(("data", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_every_slicing_gives_the_same_events(data: bytes, events: list[bytes]) -> None:
    """Whole, cut at one place, cut at any two places, byte by byte, and with empty reads between."""
    assert decode([data]) == events
    for first, second in itertools.combinations_with_replacement(range(len(data) + 1), 2):
        assert decode([data[:first], data[first:second], data[second:]]) == events
    assert decode([data[i : i + 1] for i in range(len(data))]) == events


@pytest.mark.parametrize(("data", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_decoder_in_full_flow_reads_the_same(data: bytes, events: list[bytes]) -> None:
    """The short way for whole events gives what the long way gives, whatever came before."""
    decoder = Decoder()
    assert decoder.feed(b"data: before\n\n") == [b"before"]
    if not data.startswith(b"\xef"):
        assert decoder.feed(data) == events


class OneByOne(httpx2.SyncByteStream):
    def __init__(self, slices: list[bytes]) -> None:
        self.slices = slices

    def __iter__(self):
        yield from self.slices


def oracle(slices: list[bytes]) -> list[bytes]:
    """What httpx2's own decoder reads, without events that hold no data."""
    request = httpx2.Request("GET", "http://127.0.0.1/")
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    response = httpx2.Response(200, headers=headers, stream=OneByOne(slices), request=request)
    return [event.data.encode() for event in httpx2.EventSource(response) if event.data]


_lines = st.sampled_from(
    [
        "data: a",
        "data:b",
        "data",
        "data:",
        "data:  c",
        ": hm",
        "event: x",
        "id: 1",
        "retry: 5",
        "",
        "",
        "nonsense",
        "é🎉\u2028",
    ]
)
_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])


@given(st.lists(st.tuples(_lines, _ends), max_size=14), st.lists(st.integers(0, 120), max_size=6))
def test_it_reads_what_httpx2_reads(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    """On any mixture of fields and line ends, however it is sliced."""
    # httpx2 gives an unfinished last event where it ends in CR; a blank line keeps that out.
    data = "".join(line + end for line, end in lines).encode() + b"\n\n"
    marks = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    slices = [data[first:last] for first, last in itertools.pairwise(marks)]
    assert decode(slices) == oracle(slices)


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.name)
def test_recorded_streams_read_as_httpx2_reads_them(stream) -> None:
    """Whole and in slices of seven bytes."""
    data = stream.data.removeprefix(b"\xef\xbb\xbf")  # httpx2 leaves a byte order mark in
    slices = [stream.data[i : i + 7] for i in range(0, len(stream.data), 7)]
    assert decode([stream.data]) == decode(slices) == oracle([data])


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\ndata: b", [b"a\nb"]),
        (b"data: a\r", [b"a"]),
        (b": hm", []),
        (b"data: a\n\n", []),
        (b"data:", []),
        (b"\xef\xbb", []),
        (b"", []),
    ],
)
def test_a_clean_end_gives_what_lacked_only_its_blank_line(data: bytes, events: list[bytes]) -> None:
    """And a second one gives nothing."""
    decoder = Decoder()
    decoder.feed(data)
    assert decoder.finish() == events
    assert decoder.finish() == []


@pytest.mark.parametrize(
    "data",
    [
        b"data: " + b"x" * 100 + b"\n\n",
        b"data: " + b"x" * 100,
        b"data: x\n" * 15 + b"\n",
        b"data\n" * 30,
        b"x" * 101,
        b":" + b"x" * 100,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_too_large_is_refused_in_any_slicing(data: bytes, size: int) -> None:
    """One endless line, endless short lines, and an event that comes at once; what was whole before is kept."""
    stream = b"data: before\n\n" + data
    decoder = Decoder(limit=100)
    events: list[bytes] = []

    def feed_all() -> None:
        for i in range(0, len(stream), size):
            events.extend(decoder.feed(stream[i : i + size]))

    with pytest.raises(EventTooLarge, match="larger than 100 bytes") as raised:
        feed_all()
    assert events + raised.value.events == [b"before"]


@pytest.mark.parametrize("size", [1, 7, 1000, 10_000])
def test_the_limit_is_on_one_event_not_on_the_stream(size: int) -> None:
    """Many events and comments, each within the limit, pass."""
    stream = b"data: " + b"x" * 94 + b"\n\n: a comment\n\n"
    decoder = Decoder(limit=100)
    data = stream * 20
    assert sum(len(decoder.feed(data[i : i + size])) for i in range(0, len(data), size)) == 20


def test_a_large_event_in_small_slices_takes_its_own_size() -> None:
    """5 MB in slices of 100 bytes: memory of about twice its size at the end (joining), not a list of slices."""
    piece = b"x" * 100
    decoder = Decoder()
    decoder.feed(b"data: ")
    tracemalloc.start()
    for _ in range(50_000):
        decoder.feed(piece)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 7_000_000
    assert [len(event) for event in decoder.feed(b"\n\n")] == [5_000_000]
    assert LIMIT > 5_000_000
