"""HTTP/1.1 as a client needs it: a request's head to bytes, and bytes to a response. No socket, no clock.

For any slicing at any byte, in linear time and bounded memory. Framing that is not exactly what
RFC 9112 says is an error at once; only a line end without CR is let pass, and only in a head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

# Real heads have some 30 fields and 2 KB; the largest that servers send by default is 8–16 KB. These
# limits are those of curl and Go, or above: past them somebody wants our memory.
MOST_HEAD = 64 * 1024
MOST_HEADERS = 256
# What follows the last chunk: some servers send a checksum or a time there, and nobody more.
MOST_TRAILER = 8 * 1024

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\0]*)?\r?\n")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FOLD = re.compile(r"\n[ \t]+")
_LENGTH = re.compile(r"[0-9]{1,18}")
_PREFIX = b"HTTP/1."

# The line before a chunk. From the second chunk on the end of the one before it belongs to it, which saves
# looking for it by itself. Extensions are nobody's; the longest known ones are signatures of 85 bytes.
_EXTENSION = rb"[ \t]{0,16}(?:;[^\r\n]{0,200})?"
_SIZE = re.compile(rb"(?:\r\n)?([0-9A-Fa-f]{1,16})" + _EXTENSION + rb"\r\n")
# What may yet become such a line.
_FIRST_PART = re.compile(rb"(?:[0-9A-Fa-f]{1,16}" + _EXTENSION + rb"\r?)?")
_NEXT_PART = re.compile(rb"(?:\r(?:\n" + _FIRST_PART.pattern + rb")?)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*\r\n")
_TRAILER_PART = re.compile(rb"(?:\r|[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?::[^\r\n\0]*\r?)?)?")


class Malformed(ValueError):
    """The response is not HTTP/1.1, or ended too early."""


def head(method: str, target: str, host: str, size: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request line and the headers. Raises ValueError for what would not stay one line."""
    return start(method, target, host, headers) + length(method, size)


def start(method: str, target: str, host: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A head but for its `length`, so that requests alike can share it. Raises as `head`."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break")
    return text.encode("latin-1") + b"\r\n"


def length(method: str, size: int) -> bytes:
    """The end of a head: how many bytes follow, where that has to be told."""
    if size or method not in ("GET", "HEAD", "CONNECT"):
        return b"content-length: %d\r\n\r\n" % size
    return b"\r\n"


class Response:
    """One response, as its bytes come. After a Malformed it is of no more use."""

    # How it stands before anything has come; most responses never change the half of it.
    status = 0
    opened = False
    ended = False
    _head: bytes | bytearray = b""  # one that has not ended
    _hinted = 0  # bytes of heads before the answer's own
    _held = b""  # a line before a chunk, or of a trailer, that has not ended
    _skip = 0  # 2 where the line end of a chunk has yet to come
    _trailer = 0  # bytes of it so far
    _left = 0  # of a body or a chunk whose size is known
    _fault: Malformed | None = None
    _keeps = False

    def __init__(self, method: str) -> None:
        self.headers: dict[str, str] = {}
        """By lower-case name; what came more than once is joined by ", "."""
        self._method = method
        # Reads bytes from a position on, and returns the position up to which it did.
        self._reader: Callable[[Response, bytes, int], int] = Response._read_head
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Read on. What is wrong is raised once the body before it was taken: at once where there is none."""
        if self._fault is not None:
            raise self._fault
        if self._held:
            data, self._held = self._held + data, b""
        at, end = 0, len(data)
        try:
            while at < end:
                at = self._reader(self, data, at)
        except Malformed as fault:
            self._fault = fault
            if not self._parts:
                raise

    def take(self) -> bytes:
        """The body since the last take, decoded; b"" where nothing has come."""
        parts = self._parts
        if not parts:
            if self._fault is not None:
                raise self._fault
            return b""
        data = b"".join(parts)  # of one piece it is that piece
        parts.clear()
        return data

    @property
    def has_more(self) -> bool:
        """Whether there is something to take."""
        return bool(self._parts)

    def end(self) -> None:
        """The connection ended. That is the end of a body that is said to go on until then; else it is raised."""
        if self._reader is Response._read_until_end:
            self.ended = True
        elif not self.opened:
            raise Malformed("the server closed the connection before its answer")
        elif not self.ended:
            raise Malformed("the server closed the connection in the middle of the body")

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self.ended and self._keeps

    def _read_head(self, data: bytes, at: int) -> int:
        before = len(self._head)
        # The usual one comes in one piece, with a body behind it that is not to be copied.
        text: bytes | bytearray = data
        begin = start = at
        if before:
            self._head += data[at:]
            text, begin, start = self._head, 0, max(0, before - 2)
        found = _END_OF_HEAD.search(text, start)
        end = len(text) if found is None else found.end()
        is_http = text.startswith(_PREFIX, begin)
        if not is_http and (found is not None or not _PREFIX.startswith(bytes(text[begin:]))):
            raise Malformed(f"the server does not speak HTTP: {bytes(text[begin : begin + 40])!r}")
        size = end - begin
        if self._hinted + size > MOST_HEAD:
            raise Malformed(f"the head is larger than {MOST_HEAD} bytes")
        if found is None:
            if not before:
                self._head = bytearray(data[at:])
            return len(data)
        self._open(text[begin:end].decode("latin-1"))
        self._head = b""
        self._hinted += size
        return at + size - before

    def _open(self, text: str) -> None:
        """Read a whole head, blank line included. One of 1xx is a hint before the answer."""
        line = _STATUS.match(text)
        if line is None:
            raise Malformed(f"no HTTP status: {text[:40]!r}")
        status, headers = int(line[2]), _fields(text[line.end() :])
        if status == 101:
            raise Malformed("the server switched to another protocol")
        if status >= 200:
            self._frame(line[1], status, headers)

    def _frame(self, minor: str, status: int, headers: dict[str, str]) -> None:
        """The head has come: how the body ends follows from it (RFC 9112, 6.3)."""
        self.status, self.headers, self.opened = status, headers, True
        keeps, told = minor == "1", headers.get("connection")
        if told is not None:
            tokens = [token.strip() for token in told.lower().split(",")]
            keeps = "close" not in tokens and (keeps or "keep-alive" in tokens)
        self._keeps = keeps
        coding, told = headers.get("transfer-encoding"), headers.get("content-length")
        length = None if told is None else _length(told)
        if self._method == "HEAD" or status in (204, 304) or (self._method == "CONNECT" and status < 300):
            self._finish()
        elif coding is not None:
            if coding != "chunked" and coding.strip().lower() != "chunked":
                raise Malformed(f"the transfer coding {coding[:40]!r} was not asked for")
            # Two framings at once are how answers are smuggled: read it, but trust no byte after it.
            self._keeps = keeps and length is None and minor == "1"
            self._reader = Response._read_chunks
        elif length is None:
            self._keeps = False
            self._reader = Response._read_until_end
        elif length:
            self._left = length
            self._reader = Response._read_length
        else:
            self._finish()

    def _finish(self) -> None:
        self.ended = True
        self._reader = Response._read_past

    def _read_length(self, data: bytes, at: int) -> int:
        """A body, or a chunk that comes in pieces, whose size is known."""
        end = min(at + self._left, len(data))
        self._parts.append(data[at:end])
        self._left -= end - at
        if not self._left:
            if self._skip:
                self._reader = Response._read_chunks
            else:
                self._finish()
        return end

    def _read_until_end(self, data: bytes, at: int) -> int:
        self._parts.append(data[at:])
        return len(data)

    def _read_past(self, data: bytes, at: int) -> int:
        self._keeps = False  # nobody asked for it
        return len(data)

    def _read_chunks(self, data: bytes, at: int) -> int:
        """Chunks from a size line on. The hot path of a burst."""
        find, append, end = data.find, self._parts.append, len(data)
        skip = self._skip
        while (start := find(b"\r\n", at + skip) + 2) > 1:
            size = _chunk_size(data[at:start], skip)
            skip = 2
            if (at := start + size) > end or not size:
                self._skip = 2
                self._left = size
                self._reader = Response._read_length if size else Response._read_trailer
                return start
            append(data[start:at])
        held = data[at:]
        if skip and held == b"\r\n":  # a read mostly ends with a chunk
            self._skip = 0
            return end
        self._skip, self._held = skip, held
        if not (_NEXT_PART if skip else _FIRST_PART).fullmatch(held):
            raise Malformed(f"no chunk begins with {held[:40]!r}")
        return end

    def _read_trailer(self, data: bytes, at: int) -> int:
        """The fields after the last chunk, of which we keep nothing, and the blank line."""
        # Mostly there is none of them.
        while not (is_over := data.startswith(b"\r\n", at)) and (found := _TRAILER.match(data, at)):
            self._trailer += found.end() - at
            at = found.end()
        if self._trailer + (0 if is_over else len(data) - at) > MOST_TRAILER:
            raise Malformed(f"the trailer is larger than {MOST_TRAILER} bytes")
        if is_over:
            self._finish()
            return at + 2
        self._held = data[at:]
        if not _TRAILER_PART.fullmatch(self._held):
            raise Malformed(f"no field of a trailer: {self._held[:40]!r}")
        return len(data)


@lru_cache(1024)  # a stream's chunks are of a few sizes
def _chunk_size(line: bytes, skip: int) -> int:
    """Of a whole line before a chunk; `skip` is 2 where the end of another chunk has to stand before it."""
    found = _SIZE.fullmatch(line)
    if found is None or found.start(1) != skip:
        raise Malformed(f"no chunk begins with {line[:40]!r}")
    return int(found[1], 16)


def _fields(text: str) -> dict[str, str]:
    """A head's fields, blank line included."""
    text = text.replace("\r\n", "\n")
    if "\r" in text or "\0" in text:
        raise Malformed("a line of the head is no header")
    lines = text.split("\n")[:-2]  # the blank one
    if len(lines) > MOST_HEADERS:
        return _unfolded(text, f"more than {MOST_HEADERS} headers")
    name_of = _known if len(text) < _USUAL else _name
    headers: dict[str, str] = {}
    try:
        for line in lines:
            name, value = line.split(":", 1)
            name, value = name_of(name), value.strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    except ValueError:
        return _unfolded(text, "a line of the head is no header")
    return headers


def _unfolded(text: str, why: str) -> dict[str, str]:
    """Fields of which some value is folded over lines, as in old times. Where none is, the head is at fault: `why`."""
    unfolded = _FOLD.sub(" ", text)
    if unfolded == text:
        raise Malformed(why) from None
    return _fields(unfolded)


def _name(name: str) -> str:
    """In lower case. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(name)
    return name.lower()


_known = lru_cache(256)(_name)  # heads hold the same few names
_USUAL = 8192  # those of a larger head are not kept


def _length(told: str) -> int:
    lengths = {length.strip(" \t") for length in told.split(",")}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise Malformed(f"the content-length {told[:40]!r} is no length")
    return int(length)
