"""Every recorded stream cut at every byte: a whole answer or a fault with the words so far, never a silent success."""

from __future__ import annotations

import pytest

from bytedeck.codec.chunks import Reader
from bytedeck.errors import TABLE

from .recorded import ALL, FAILED, WHOLE, Recorded

GARBAGE = (b"\xff\xfe\x00<html>502</html>\n\n", b'data: {"choices": 7, \n\n', b"\n\ndata: x\n\n")


def names(stream: Recorded) -> str:
    return stream.name


def read(data: bytes, garbage: bytes = b"") -> tuple[Reader, str]:
    """The reader after an end, and the words that a caller was shown."""
    reader = Reader()
    shown = [delta.text for delta in reader.feed(data)]
    if garbage:
        shown += [delta.text for delta in reader.feed(garbage)]
    reader.end()
    return reader, "".join(shown) + "".join(delta.text for delta in reader.leftover)


@pytest.mark.parametrize("stream", ALL, ids=names)
@pytest.mark.parametrize("size", [1, 2, 13, 10**6])
def test_any_slicing_reads_the_same_answer(stream: Recorded, size: int) -> None:
    """Byte by byte or at once: the same words shown, the same reply, the same verdict."""
    reader = Reader()
    deltas = []
    for i in range(0, len(stream.data), size):
        deltas += reader.feed(stream.data[i : i + size])
    fault, reply = reader.end(), reader.reply()
    assert (fault.code if fault else "") == stream.code
    assert reply.text == stream.text == "".join(delta.text for delta in deltas)
    assert reply.reasoning == stream.reasoning == "".join(delta.reasoning for delta in deltas)
    assert reply.finish_reason == stream.finish_reason
    assert tuple((call.id, call.name, call.arguments) for call in reply.tool_calls) == stream.tools
    assert reader.leftover == []


@pytest.mark.parametrize("ending", ["end", "garbage"])
@pytest.mark.parametrize("stream", WHOLE, ids=names)
def test_a_cut_answer_is_whole_or_told_as_broken(stream: Recorded, ending: str) -> None:
    """Wherever it is cut, and whatever follows: None only for all of the words and calls."""
    verdicts = set()
    for cut in range(len(stream.data)):
        garbage = GARBAGE[cut % len(GARBAGE)] if ending == "garbage" else b""
        reader, shown = read(stream.data[:cut], garbage)
        fault, reply = reader.verdict(), reader.reply()
        assert reply.text == shown
        if fault is None:
            assert (reply.text, reply.finish_reason) == (stream.text, stream.finish_reason)
            assert tuple((call.id, call.name, call.arguments) for call in reply.tool_calls) == stream.tools
        else:
            assert stream.text.startswith(reply.text)
            assert reply.finish_reason == ""
        verdicts.add(fault.code if fault else "")
    assert verdicts == {"", "truncated"} | ({"malformed"} if ending == "garbage" else set())


@pytest.mark.parametrize("stream", FAILED, ids=names)
def test_a_failing_answer_is_never_whole(stream: Recorded) -> None:
    """Wherever it is cut, it stays a fault that the table knows, with the words so far."""
    for cut in range(len(stream.data)):
        reader, shown = read(stream.data[:cut])
        fault = reader.verdict()
        assert fault is not None
        assert fault.code in TABLE
        assert reader.reply().text == shown
        assert stream.text.startswith(shown)
