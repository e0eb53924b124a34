"""Bytes to server-sent events, for any slicing at any byte and in bounded memory.

Only the data of an event matters to us, so names, ids and comments are dropped. Line ends
follow the HTML standard: LF, CR, CRLF and nothing else (U+2028 is text).
"""

from __future__ import annotations

# An event is held whole before it is read. Images and audio come inside one event as base64:
# 8 MiB holds a picture of 6 MB, some five times what image models send, and a thousand
# streams at their limit still fit a machine.
LIMIT = 8 * 1024 * 1024

_CR, _LF, _COLON = 13, 10, 58

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event passed the limit. `events` holds those that were complete before it."""

    def __init__(self, limit: int, events: list[bytes]) -> None:
        super().__init__(f"an event of the stream is larger than {limit} bytes")
        self.events = events


class Decoder:
    """The data of every complete event, as the bytes come. After an EventTooLarge it is of no more use.

    What is unfinished stands in two byte arrays, so that a large event in small slices stays
    linear in time and takes its own size in memory, however finely it was sliced.
    """

    _start: bytes | None = b""  # what may still be a byte order mark; None: past it
    _after_cr = False
    _size = 0  # of the data lines of an event that has not ended
    _is_between = True  # nothing is unfinished: the next byte begins an event

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()  # a line that has not ended
        self._data: list[bytes] = []  # data lines of an event that has not ended

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each event that `data` completes, several data lines joined by LF.

        Comments, other fields and events without data give nothing. Raises EventTooLarge.
        """
        if self._is_between and data[-2:] == b"\n\n" and _CR not in data and len(data) <= self._limit:
            # Whole events of one line and nothing else, as servers mostly send them; before the first a comment.
            comment, plain = b"", data
            if data[0] == _COLON:
                comment, _, plain = data.partition(b"\n\n")
            if plain[:6] == b"data: " and _LF not in comment:
                events = plain[6:-2].split(b"\n\ndata: ")
                if b"" not in events and _LF not in b"".join(events):
                    self._start = None
                    return events
        return self._feed(data)

    def _feed(self, data: bytes) -> list[bytes]:
        self._is_between = False
        if self._start is not None:
            data = self._skip_mark(self._start + data)
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if not data:
            return []
        lines = data.splitlines()
        last = data[-1:]
        self._after_cr = last == b"\r"
        rest = b"" if self._after_cr or last == b"\n" else lines.pop()
        if self._line and lines:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        events = self._read(lines)
        if rest:
            self._line += rest
            if len(self._line) + self._size > self._limit:
                raise EventTooLarge(self._limit, events)
        self._is_between = not (self._line or self._data or self._after_cr)
        return events

    def finish(self) -> list[bytes]:
        """The body ended cleanly: the data of an event that lacked only its blank line, or nothing."""
        if self._is_between:
            return []
        lines = [bytes(self._line), b""]
        self._line.clear()
        return self._read(lines)

    def _read(self, lines: list[bytes]) -> list[bytes]:
        """Whole lines to the data of the events that they end."""
        events: list[bytes] = []
        data = self._data
        size = self._size
        for line in lines:
            if not line:
                if size:
                    event = data[0] if len(data) == 1 else b"\n".join(data)
                    if event:
                        events.append(event)
                    data.clear()
                    size = 0
            elif line[:5] == b"data:" or line == b"data":
                size += len(line)
                if size > self._limit:
                    raise EventTooLarge(self._limit, events)
                data.append(line[6:] if line[5:6] == b" " else line[5:])
        self._size = size
        return events

    def _skip_mark(self, data: bytes) -> bytes:
        """Leave out a byte order mark at the very beginning, also one that comes in pieces."""
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)
