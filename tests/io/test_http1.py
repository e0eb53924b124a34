"""The reader of responses: what it makes of good and bad ones, however they are sliced, and with what effort."""

from __future__ import annotations

import itertools
import time
from typing import NamedTuple

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.io.http1 import MOST_HEAD, MOST_HEADERS, MOST_TRAILER, Malformed, Response, head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\n"


class Read(NamedTuple):
    """What came of it. `why` is "" where nothing was wrong."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool
    reusable: bool
    why: str


def read(slices: list[bytes], method: str = "POST", eof: bool = True) -> Read:
    """Feed, and take after each slice, as the wires do; then the connection ends."""
    response, body, why = Response(method), b"", ""
    reusable = False
    try:
        for data in slices:
            response.feed(data)
            while piece := response.take():
                body += piece
        reusable = response.reusable
        if eof:
            response.end()
    except Malformed as exc:
        why = str(exc) or "?"
    return Read(response.status, response.headers, body, response.ended, reusable, why)


class Case(NamedTuple):
    name: str
    data: bytes
    body: bytes = b""
    reusable: bool = True
    method: str = "POST"
    status: int = 200


GOOD = [
    Case("length", LENGTH + b"Hello", b"Hello"),
    Case("no bytes", OK + b"content-length: 0\r\n\r\n"),
    Case("the same length twice", OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nHello", b"Hello"),
    Case("the same length in one line", OK + b"Content-Length: 5, 5\r\n\r\nHello", b"Hello"),
    Case("until the end", OK + b"\r\nHello", b"Hello", False),
    Case("nothing until the end", OK + b"\r\n", b"", False),
    Case("chunks", CHUNKED + b"5\r\nHello\r\n1\r\n!\r\n0\r\n\r\n", b"Hello!"),
    Case("chunks in capitals", OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n0A\r\n0123456789\r\n000\r\n\r\n", b"0123456789"),
    Case("chunks that look like framing", CHUNKED + b"9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n\r\n"),
    Case("extensions", CHUNKED + b'5;a=b;c="d"\r\nHello\r\n1 ;x\r\n!\r\n0;last\r\n\r\n', b"Hello!"),
    Case("padded sizes", CHUNKED + b"5  \r\nHello\r\n0 \r\n\r\n", b"Hello"),
    Case("a trailer", CHUNKED + b"5\r\nHello\r\n0\r\nX-Sum: 1\r\nX-Time:\r\n\r\n", b"Hello"),
    Case("chunks win", OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n", b"Hello", False),
    Case("hints", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + LENGTH + b"Hello", b"Hello"),
    Case("no content", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", status=204),
    Case("not modified", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", status=304),
    Case("HEAD", LENGTH, method="HEAD"),
    Case("a tunnel", LENGTH, method="CONNECT"),
    Case("no tunnel", b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", b"no", method="CONNECT", status=407),
    Case("close", OK + b"Connection: x, Close\r\nContent-Length: 5\r\n\r\nHello", b"Hello", False),
    Case("1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nHello", b"Hello", False),
    Case("1.0 that stays", b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nHello", b"Hello"),
    Case("bytes left over", LENGTH + b"HelloHTTP/1.1 200 OK\r\n", b"Hello", False),
    Case("bytes after the chunks", CHUNKED + b"0\r\n\r\n\r\n", b"", False),
    Case("bare line feeds", b"HTTP/1.1 200 OK\nContent-Length: 5\nX: y\n\nHello", b"Hello"),
    Case("mixed line ends", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\nHello", b"Hello"),
    Case("no reason", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nHello", b"Hello"),
    Case("another reason", "HTTP/1.1 299 Grüße\r\nContent-Length: 5\r\n\r\nHello".encode(), b"Hello", status=299),
]  # fmt: skip


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_good_ones(case: Case) -> None:
    """Status, body, and whether the connection may go on."""
    got = read([case.data], case.method)
    assert got.why == ""
    assert (got.status, got.body, got.ended, got.reusable) == (case.status, case.body, True, case.reusable)


BAD = [
    Case("another protocol", b"SSH-2.0-x\r\n", status=0),
    Case("HTTP/2", b"HTTP/2 200 OK\r\n\r\n", status=0),
    Case("HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n", status=0),
    Case("no status", b"HTTP/1.1 OK\r\n\r\n", status=0),
    Case("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", status=0),
    Case("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", status=0),
    Case("a switch", b"HTTP/1.1 101 Switching\r\n\r\n", status=0),
    Case("a header without a colon", OK + b"nonsense\r\n\r\n", status=0),
    Case("a header without a name", OK + b": x\r\n\r\n", status=0),
    Case("a space before the colon", OK + b"Content-Length : 5\r\n\r\nHello", status=0),
    Case("a fold before any header", OK + b" x: y\r\n\r\n", status=0),
    Case("a bare CR", OK + b"x: a\rb\r\n\r\n", status=0),
    Case("a NUL", OK + b"x: a\0b\r\n\r\n", status=0),
    Case("two lengths", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nHello"),
    Case("two lengths in one line", OK + b"Content-Length: 5, 6\r\n\r\nHello"),
    Case("a negative length", OK + b"Content-Length: -5\r\n\r\nHello"),
    Case("a signed length", OK + b"Content-Length: +5\r\n\r\nHello"),
    Case("a spelled length", OK + b"Content-Length: 1_0\r\n\r\nHelloHello"),
    Case("an empty length", OK + b"Content-Length:\r\n\r\nHello"),
    Case("a superscript length", OK + b"Content-Length: \xb2\r\n\r\nHello"),
    Case("a length beyond reason", OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    Case("a coding", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    Case("chunked twice", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    Case("hexadecimal by name", CHUNKED + b"0x5\r\nHello\r\n"),
    Case("an underscore", CHUNKED + b"1_0\r\n"),
    Case("a sign", CHUNKED + b"+5\r\nHello\r\n"),
    Case("a space before", CHUNKED + b" 5\r\nHello\r\n"),
    Case("no size", CHUNKED + b"\r\nHello"),
    Case("17 digits", CHUNKED + b"0" * 17 + b"\r\n"),
    Case("a size ended by a bare line feed", CHUNKED + b"5\nHello\r\n"),
    Case("a size ended by CR", CHUNKED + b"5\rHello"),
    Case("a chunk that is too long", CHUNKED + b"5\r\nHello!\r\n", b"Hello"),
    Case("a chunk that is too short", CHUNKED + b"6\r\nHello\r\n0\r\n\r\n", b"Hello\r"),
    Case("a chunk ended by a bare line feed", CHUNKED + b"5\r\nHello\n0\r\n\r\n", b"Hello"),
    Case("garbage for the second size", CHUNKED + b"5\r\nHello\r\nzz", b"Hello"),
    Case("a line feed in an extension", CHUNKED + b"5;a\nb\r\nHello\r\n"),
    Case("an endless extension", CHUNKED + b"5;" + b"a" * 300),
    Case("garbage for a trailer", CHUNKED + b"5\r\nHello\r\n0\r\nHTTP/1.1 200 OK", b"Hello"),
    Case("a trailer ended by a bare line feed", CHUNKED + b"0\r\n\n"),
    Case("a large trailer", CHUNKED + b"0\r\nx:" + b"y" * MOST_TRAILER),
    Case("a large trailer in lines", CHUNKED + b"0\r\n" + b"x: y\r\n" * (MOST_TRAILER // 6 + 1) + b"\r\n"),
    Case("a large head", OK + b"x: " + b"y" * MOST_HEAD + b"\r\n\r\n", status=0),
    Case("a large head without end", OK + b"x: " + b"y" * MOST_HEAD, status=0),
    Case("too many headers", OK + b"x: y\r\n" * (MOST_HEADERS + 1) + b"\r\n", status=0),
    Case("too many headers in a hint", b"HTTP/1.1 103 x\r\n" + b"x: y\r\n" * 300 + b"\r\n" + LENGTH, status=0),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_ones(case: Case) -> None:
    """Refused at once, without waiting for more; what came before is given out first."""
    got = read([case.data], case.method, eof=False)
    assert got.why
    assert (got.status, got.body, got.ended) == (case.status, case.body, False)


SHORT = [
    ("", b""), ("half a head", OK + b"x: y\r\n"), ("half a status", b"HTT"), ("after a hint", b"HTTP/1.1 103 x\r\n\r\n"),
    ("half a body", LENGTH + b"Hel"), ("half a chunk", CHUNKED + b"5\r\nHel"), ("half a size", CHUNKED + b"5"),
    ("no last chunk", CHUNKED + b"5\r\nHello\r\n"), ("half a trailer", CHUNKED + b"0\r\nx: y\r\n"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data"), SHORT)
def test_an_end_that_comes_too_early(name: str, data: bytes) -> None:
    """Is told, with the phase that it came in."""
    got = read([data])
    assert got.why.startswith("the server closed the connection")
    assert not got.ended


CUT = [case for case in (*GOOD, *BAD) if len(case.data) < 1000]


@pytest.mark.parametrize("case", CUT, ids=lambda case: case.name)
def test_the_cut_does_not_matter(case: Case) -> None:
    """In two pieces cut anywhere, and byte by byte, it is read as in one."""
    whole = read([case.data], case.method)
    cuts = [[case.data[:at], case.data[at:]] for at in range(1, len(case.data))]
    for slices in [*cuts, [bytes([byte]) for byte in case.data]]:
        got = read(slices, case.method)
        assert (got[:5], bool(got.why)) == (whole[:5], bool(whole.why)), slices


def test_headers() -> None:
    """By lower-case name, joined where they come twice, unfolded, without the white space around them."""
    data = (
        OK
        + b"X-A:  one \t\r\nx-a: two\r\nX-Folded: a\r\n\t b\r\n  c\r\nX-Empty:\r\nX-Blank: \t \r\nX-Colon: a:b\r\n"
        + b"X-Short:a\r\nX-Odd: \x0b a  b \xa0 \r\nX-\xfc: x\r\n\r\n"
    )
    assert read([data]).why  # a name is ASCII
    got = read([data.replace(b"X-\xfc: x", b"X-L: \xfc")])
    assert got.headers == {
        "x-a": "one, two", "x-folded": "a b c", "x-empty": "", "x-blank": "", "x-colon": "a:b", "x-short": "a",
        "x-odd": "\x0b a  b \xa0", "x-l": "ü",
    }  # fmt: skip


def test_folded_lines_are_no_headers_of_their_own() -> None:
    """They do not count for the limit."""
    got = read([OK + b"a: b\r\n c\r\n" * MOST_HEADERS + b"\r\n"])
    assert got.headers == {"a": ", ".join(["b c"] * MOST_HEADERS)}
    assert (
        read([OK + b"a: b\r\n c\r\n" * (MOST_HEADERS + 1) + b"\r\n"]).why
        == f"more than {MOST_HEADERS} headers"
    )


def test_the_request() -> None:
    """A line each, the length of the body, and none for what has no body."""
    assert (
        head("POST", "/x", "h:1", 3, [("A", "b")])
        == b"POST /x HTTP/1.1\r\nhost: h:1\r\nA: b\r\ncontent-length: 3\r\n\r\n"
    )
    assert b"length" not in head("GET", "/x", "h", 0, [])
    assert b"content-length: 0" in head("POST", "/x", "h", 0, [])


@pytest.mark.parametrize("evil", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "€"])
def test_a_header_does_not_break_out(evil: str) -> None:
    """Line breaks, NUL and what is not Latin-1 are refused wherever they stand."""
    for arguments in (
        ("POST", "/x", "h", 0, [("a", evil)]), ("POST", "/x", "h", 0, [(evil, "a")]),
        ("POST", evil, "h", 0, []), ("POST", "/x", evil, 0, []),
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011
            head(*arguments)


_TOKEN = st.text("abcXYZ-_!~09", min_size=1, max_size=9).map(lambda name: "x-" + name)
_VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
_HEADERS = st.lists(st.tuples(_TOKEN, _VALUE.map(str.strip)), max_size=6)


@given(
    status=st.sampled_from([200, 201, 204, 304, 400, 429, 500]),
    headers=_HEADERS,
    framing=st.sampled_from(["length", "chunked", "close"]),
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    minor=st.sampled_from(["1.1", "1.0"]),
    close=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_it_reads_what_h11_reads(
    status: int, headers: list[tuple[str, str]], framing: str, pieces: list[bytes], minor: str, close: bool, cuts: list[int]
) -> None:  # fmt: skip
    """Status, headers, body and whether the connection goes on, for every well-formed response."""
    data = _rendered(status, headers, framing, pieces, minor, close)
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    got = read([data[a:b] for a, b in itertools.pairwise(at)])
    theirs = h11.Connection(h11.CLIENT)
    theirs.send(h11.Request(method="POST", target="/", headers=[("host", "h"), ("content-length", "0")]))
    theirs.send(h11.EndOfMessage())
    theirs.receive_data(data)
    body, joined = b"", {}
    while not isinstance(event := theirs.next_event(), (h11.EndOfMessage, h11.ConnectionClosed)):
        if event is h11.NEED_DATA:
            theirs.receive_data(b"")
        elif isinstance(event, h11.Response):
            assert event.status_code == got.status
            for name, value in event.headers:
                key, text = name.decode(), value.decode("latin-1")
                joined[key] = f"{joined[key]}, {text}" if key in joined else text
        else:
            body += bytes(event.data)
    assert (got.why, got.headers, got.body) == ("", joined, body)
    goes_on = theirs.their_state is h11.DONE and minor == "1.1"
    # h11 tells of a body until the end only afterwards, by the end itself.
    assert got.reusable == (goes_on and (framing != "close" or status in (204, 304)))


def _rendered(
    status: int, headers: list[tuple[str, str]], framing: str, pieces: list[bytes], minor: str, close: bool
) -> bytes:
    lines = [f"HTTP/{minor} {status} Whatever", *(f"{name}: {value}" for name, value in headers)]
    if close:
        lines.append("Connection: close")
    body = b"".join(pieces)
    if framing == "chunked" and minor == "1.1":
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    elif framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    if status in (204, 304):
        body = b""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@given(st.binary(max_size=60), st.sampled_from([b"", OK, CHUNKED, CHUNKED + b"5\r\nHello", LENGTH]))
def test_any_bytes_are_read_or_refused(data: bytes, before: bytes) -> None:
    """Nothing but Malformed is ever raised, and slicing never decides."""
    whole = read([before + data])
    bytewise = read([bytes([byte]) for byte in before + data])
    assert (whole[:5], bool(whole.why)) == (bytewise[:5], bool(bytewise.why))


HEAVY = {
    "spaces": OK + b"a: " + b" " * 65_000,
    "spaces before a NUL": OK + b"a: " + b" " * 60_000 + b"\0\r\n\r\n",
    "words before a NUL": OK + b"a: " + b"x  " * 20_000 + b"\0\r\n\r\n",
    "a name": OK + b"a" * 65_000,
    "folds": OK + b"a:" + b"\r\n " * 21_000 + b"\r\n\r\n",
    "headers": OK + b"a:\n" * 21_000 + b"\n",
    "hints": b"HTTP/1.1 103 x\r\n\r\n" * 5_000,
    "chunks": CHUNKED + b"1\r\nx\r\n" * 30_000,
    "a chunk": CHUNKED + b"30d40\r\n" + b"x" * 200_000,
    "extensions": CHUNKED + (b"1;" + b"e" * 199 + b"\r\nx\r\n") * 500,
    "a trailer": CHUNKED + b"0\r\n" + b"a: b\r\n" * 1_300,
}


@pytest.mark.parametrize("data", HEAVY.values(), ids=HEAVY.keys())
def test_effort_is_linear(data: bytes) -> None:
    """Nothing that a server sends, in whatever slices, costs more than some microseconds a byte."""
    for slices in ([data], [bytes([byte]) for byte in data]):
        began = time.process_time()
        read(slices)
        assert time.process_time() - began < 2.0


def test_five_megabytes_in_small_reads() -> None:
    """One chunk of 5 MB in reads of 1,400 bytes is read in a moment."""
    body = b"y" * 5_000_000
    data = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    began = time.process_time()
    got = read([data[at : at + 1400] for at in range(0, len(data), 1400)])
    assert len(got.body) == len(body)
    assert got.reusable
    assert time.process_time() - began < 5.0  # of which most is this test's own adding up


def test_hints_without_end() -> None:
    """A server that only ever hints is refused at the size of a head."""
    response = Response("POST")
    with pytest.raises(Malformed, match="larger than"):
        response.feed(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 10_000)


def test_after_a_fault_nothing_is_read() -> None:
    """What follows garbage does not make a good end of it."""
    response = Response("POST")
    response.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n")
    assert response.take() == b"hi"
    for more in (b"\r\n0\r\n\r\n", b"0\r\n\r\n"):
        with pytest.raises(Malformed):
            response.feed(more)
    assert not response.reusable
