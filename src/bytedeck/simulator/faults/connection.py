"""Faults of the connection: resets, silence, slowness, and bytes that come in odd packets or under odd headers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from ..refusals import named as refusals
from ..shapes import Cut, Head, Pause, Stall, Step, Write
from .events import COMMENT
from .fault import Fault, Params, Steps

_AFTER = {"tokens": 3}


def _reset(params: Params, steps: Steps) -> Steps:
    yield Cut(reset=True)


def _close(params: Params, steps: Steps) -> Steps:
    yield Cut()


def _hang(params: Params, steps: Steps) -> Steps:
    yield Stall()


def _late(params: Params, steps: Steps) -> Steps:
    yield Pause(params["seconds"])
    yield from steps


def _slow(params: Params, steps: Steps) -> Steps:
    """Status and headers, then comments, until the first token may come."""
    for step in steps:
        if type(step) is not Head:
            yield step
            continue
        if step.length is None:
            yield step
            yield from waiting(params["seconds"])
        else:
            yield Pause(params["seconds"])
            yield step
        break
    yield from steps


def waiting(seconds: float, every: float = 1.0) -> Iterator[Step]:
    """A pause with comments in it."""
    while seconds > 0:
        yield Write(COMMENT)
        yield Pause(min(seconds, every))
        seconds -= every


def _until(steps: Steps, tokens: int) -> Steps:
    """The steps up to so many tokens. A body in one piece stops in its middle."""
    sent = 0
    whole = False
    for step in steps:
        if type(step) is Head:
            whole = step.length is not None
        elif type(step) is Write and step.tokens:
            if whole and tokens:
                yield Write(step.data[: len(step.data) // 2], min(tokens, step.tokens))
                return
            if sent >= tokens:
                return
            sent += step.tokens
        yield step


def _up_to_bytes(steps: Steps, count: int) -> Steps:
    for step in steps:
        if type(step) is Write:
            if len(step.data) >= count:
                yield Write(step.data[:count])
                return
            count -= len(step.data)
        yield step


def _stalled(params: Params, steps: Steps) -> Steps:
    yield from _until(steps, params["tokens"])
    yield Stall()


def _silent(params: Params, steps: Steps) -> Steps:
    comment = COMMENT
    for step in _until(steps, params["tokens"]):
        if type(step) is Head and step.length is not None:
            comment = b""  # a body whose length was told has no room for them
        yield step
    yield Stall(comment, params["every"])


def _cut(params: Params, steps: Steps) -> Steps:
    count = params["bytes"]
    yield from (_up_to_bytes(steps, count) if count else _until(steps, params["tokens"]))
    yield Pause(0)
    yield Cut(reset=bool(params["reset"]))


def _paused(params: Params, steps: Steps) -> Steps:
    sent, done = 0, False
    for step in steps:
        if type(step) is Write:
            if not done and step.tokens and sent >= params["tokens"]:
                done = True
                yield Pause(params["seconds"])
            sent += step.tokens
        yield step


def _parts(step: Write, cuts: Iterator[int] | list[int]) -> Iterator[Step]:
    """One write as several packets, cut at these places."""
    begin, tokens = 0, step.tokens
    for cut in cuts:
        if begin < cut < len(step.data):
            yield Write(step.data[begin:cut], tokens)
            yield Pause(0)
            begin, tokens = cut, 0
    yield Write(step.data[begin:], tokens)
    yield Pause(0)


def _dripping(params: Params, steps: Steps) -> Steps:
    size = max(1, params["bytes"])
    for step in steps:
        if type(step) is not Write:
            yield step
            continue
        for part in _parts(step, list(range(size, len(step.data), size))):
            yield Pause(params["seconds"]) if type(part) is Pause else part


def _split_utf8(params: Params, steps: Steps) -> Steps:
    """Every packet ends within a character of several bytes, where there is one, else within an event."""
    for step in steps:
        if type(step) is not Write:
            yield step
            continue
        lead = [place + 1 for place, byte in enumerate(step.data) if byte >= 0xC0]
        yield from _parts(step, lead or [len(step.data) // 2])


_LINE_ENDS = {"crlf": b"\r\n", "cr": b"\r", "lf": b"\n"}


def _line_ends(params: Params, steps: Steps) -> Steps:
    end = _LINE_ENDS.get(params["kind"], b"\r\n")
    streamed = False
    for step in steps:
        if type(step) is Head:
            streamed = step.length is None
        if type(step) is not Write or not streamed:
            yield step
            continue
        data = step.data.replace(b"\n", end)
        cuts = [place + 1 for place, byte in enumerate(data) if byte == 13] if params["split"] else []
        yield from _parts(Write(data, step.tokens), cuts)


def _each_event(steps: Steps, change: Callable[[bytes], bytes]) -> Steps:
    """A stream's writes, changed. A body has told its length already, and stays."""
    streamed = False
    for step in steps:
        if type(step) is Head:
            streamed = step.length is None
        yield Write(change(step.data), step.tokens) if streamed and type(step) is Write else step


def _spaceless(params: Params, steps: Steps) -> Steps:
    return _each_event(steps, lambda data: data.replace(b"data: ", b"data:"))


def _many_lines(params: Params, steps: Steps) -> Steps:
    return _each_event(steps, lambda data: data.replace(b"data: {", b"data: {\ndata: ", 1))


def _marked(params: Params, steps: Steps) -> Steps:
    for step in steps:
        yield step
        if type(step) is Head and step.length is None:
            yield Write(b"\xef\xbb\xbf")


def _html(params: Params, steps: Steps) -> Steps:
    page = refusals.envelope("chat", refusals.make("page_502"))
    status = params["status"] if params["status"] in range(200, 600) else 502
    yield Head(status, {"Content-Type": "text/html; charset=UTF-8"}, len(page))
    yield Write(page)


def _typed(params: Params, steps: Steps) -> Steps:
    for step in steps:
        if type(step) is Head:
            step = replace(step, headers={**step.headers, "Content-Type": params["type"]})
        yield step


def _zipped(params: Params, steps: Steps) -> Steps:
    """Each write can be unpacked as soon as it is there."""
    packer = zlib.compressobj(wbits=31)
    for step in steps:
        if type(step) is Head:
            yield replace(step, headers={**step.headers, "Content-Encoding": "gzip"}, length=None)
        elif type(step) is Write:
            yield Write(packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH), step.tokens)
        else:
            yield step
    yield Write(packer.flush())


def _empty(params: Params, steps: Steps) -> Steps:
    for step in steps:
        # What comes before the head may be another fault's end.
        yield replace(step, length=0) if type(step) is Head else step
        if type(step) is Head:
            return


ROWS = (
    Fault(
        name="reset",
        summary="The connection is reset before the headers.",
        rows="D2b",
        outcome="truncated",
        steps=_reset,
    ),
    Fault(
        name="close",
        summary="The connection ends before the headers.",
        rows="D2b",
        outcome="truncated",
        steps=_close,
    ),
    Fault(
        name="hang",
        summary="The request is accepted and never answered.",
        rows="D2",
        outcome="truncated",
        steps=_hang,
    ),
    Fault(
        name="late_headers",
        summary="The headers come after `seconds`.",
        rows="D2",
        params={"seconds": 20.0},
        steps=_late,
    ),
    Fault(
        name="slow_first_token",
        summary="Headers at once, then only comments for `seconds`.",
        rows="D3, SSE-02",
        params={"seconds": 20.0},
        steps=_slow,
    ),
    Fault(
        name="silence",
        summary="After `tokens` nothing but comments, `every` so many seconds, for ever.",
        rows="T2, D3, SSE-02",
        params={"tokens": 0, "every": 1.0},
        outcome="truncated",
        steps=_silent,
    ),
    Fault(
        name="stall",
        summary="After `tokens` nothing at all, for ever.",
        rows="T2, D4",
        params=_AFTER,
        outcome="truncated",
        steps=_stalled,
    ),
    Fault(
        name="pause",
        summary="After `tokens` nothing for `seconds`, then the rest.",
        rows="D4",
        params={**_AFTER, "seconds": 5.0},
        steps=_paused,
    ),
    Fault(
        name="cut",
        summary="After `tokens`, or `bytes` of the body, the connection ends; with `reset=1` by RST.",
        rows="D5, T1",
        params={**_AFTER, "bytes": 0, "reset": 0},
        outcome="truncated",
        steps=_cut,
    ),
    Fault(
        name="drip",
        summary="So many `bytes` a packet, with `seconds` between them.",
        rows="SSE-03",
        params={"bytes": 16, "seconds": 0.003},
        steps=_dripping,
    ),
    Fault(name="split_utf8", summary="Packets end within characters.", rows="SSE-03", steps=_split_utf8),
    Fault(
        name="line_ends",
        summary="Lines end with `kind` (crlf, cr, lf); with `split=1` packets end between CR and LF.",
        rows="SSE-04",
        params={"kind": "crlf", "split": 1},
        steps=_line_ends,
    ),
    Fault(name="no_space", summary="`data:` without the space.", rows="SSE-04", steps=_spaceless),
    Fault(name="many_lines", summary="Several data lines an event.", rows="SSE-04", steps=_many_lines),
    Fault(name="bom", summary="A byte order mark before the first event.", rows="SSE-04", steps=_marked),
    Fault(
        name="html",
        summary="An HTML page with this `status`, 200 if you like.",
        rows="ERR-04",
        params={"status": 502},
        outcome="error",
        steps=_html,
    ),
    Fault(
        name="wrong_type",
        summary="The right body under the wrong Content-Type.",
        rows="2.3",
        params={"type": "application/octet-stream"},
        steps=_typed,
    ),
    Fault(name="gzip", summary="Content-Encoding gzip, asked for or not.", rows="2.3", steps=_zipped),
    Fault(name="empty", summary="Status 200 and not one byte.", rows="D31", outcome="error", steps=_empty),
)
