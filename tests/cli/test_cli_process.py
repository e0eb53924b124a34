"""The command as a process among others: pipes, signals, terminals, full disks."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pytest

from answers import Answer
from canary import CANARY, assert_no_canary
from upstream import MODEL, Hang, Seen, Upstream, chunk, events, words

FIRST = words("one two three")


def _hanging(text: str):
    """A stream that says these words and then nothing."""
    return events(chunk({"content": text}), generation="gen-hanging").then(Hang())


def _read_until(stream, wanted: bytes) -> bytes:
    """What comes, up to and with `wanted`."""
    got = b""
    while wanted not in got:
        data = os.read(stream.fileno(), 4096)
        if not data:
            raise AssertionError(f"ended with {got!r}")
        got += data
    return got


def _wait_left(upstream: Upstream) -> None:
    """Return once a client has left in the middle of an answer; AssertionError if none does."""
    for count in itertools.count(1):
        if any(
            one.by == "client" and one.phase in ("headers", "body") for one in upstream.wait_closed(count)
        ):
            return


def _settlements(spawn) -> dict:
    out, _ = spawn("ledger", "verify", "--json").communicate(timeout=20)
    return json.loads(out)


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_ctrl_c_keeps_what_came_and_settles(spawn, keyed: Upstream, home: Path, args: list[str]) -> None:
    """Ctrl-C in mid-stream: 130, the words so far, no traceback, the upstream closed, the attempt settled."""
    asked = threading.Event()

    def answer(_: Seen) -> Answer:
        asked.set()
        return _hanging("one two")

    keyed.script(answer)
    process = spawn("-m", MODEL, *args, "count")
    assert asked.wait(10)
    out = b"" if args else _read_until(process.stdout, b"one two")
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=10)
    out += rest
    assert process.returncode == 130
    assert b"Traceback" not in err
    _wait_left(keyed)
    if args:
        assert json.loads(out)["error"]["code"] == "interrupted"
    else:
        assert out == b"one two\n"
        assert b"one two" in next((home / "conversations").iterdir()).read_bytes()
    found = _settlements(spawn)
    assert (found["ok"], found["attempts"], found["in_flight"], found["orphaned"]) == (True, 1, 0, 0)
    assert found["settled"] + found["awaiting"] == 1
    assert_no_canary(out, err, home)


def test_a_reader_that_leaves_is_no_failure_of_ours(spawn, keyed: Upstream) -> None:
    """`| head -1`: no traceback, the upstream is closed, the code is the shells' for a closed pipe."""
    line = chunk({"content": "a line\n"})
    keyed.script(events(*[line] * 500).paced(0.005))
    process = spawn("-m", MODEL, "many lines")
    assert _read_until(process.stdout, b"\n")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=10) == 141
    assert b"Error" not in err
    assert b"Broken" not in err
    _wait_left(keyed)


@pytest.mark.parametrize("args", [["tasks", "show", "coding"], ["--help"]])
def test_a_reader_that_leaves_a_table(spawn, args: list[str]) -> None:
    """The same for what is no answer."""
    process = spawn(*args)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    assert process.wait(timeout=10) in (141, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_told(spawn, keyed: Upstream, home: Path) -> None:
    """The answer cannot be written: a sentence, a code, and the words are kept for -c."""
    with open("/dev/full", "wb") as full:
        process = spawn("-m", MODEL, "hi", stdout=full)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 9
    assert b"The output cannot be written: No space left on device." in err
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
    assert (home / "conversations").exists()


def test_a_pipe_is_read_and_the_answer_is_plain(spawn, keyed: Upstream) -> None:
    """Between two pipes: what comes in is the question, what goes out is bare text, Markdown untouched."""
    keyed.script(words("**bold** \x1b[31mred"))
    process = spawn("-m", MODEL, "what?", stdin=subprocess.PIPE)
    out, err = process.communicate(b"caf\xe9 au lait", timeout=10)
    assert process.returncode == 0
    assert out == b"**bold** \x1b[31mred\n"
    assert b"not valid UTF-8" in err
    assert keyed.chats[0].json["messages"][0]["content"] == "caf� au lait\n\nwhat?"


def test_closed_streams_are_no_bug(spawn, keyed: Upstream) -> None:
    """Without stdin and stderr the answer comes all the same."""
    process = spawn("-m", MODEL, "hi", preexec_fn=lambda: (os.close(0), os.close(2)))
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, b"Hello there.\n")


def test_words_that_the_terminal_lacks(spawn, keyed: Upstream) -> None:
    """An encoding without the answer's signs costs those signs, not the answer."""
    keyed.script(words("caf\u00e9 \u2713"))
    process = spawn("-m", MODEL, "hi", env={"PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, b"caf? ?\n")


def test_a_bug_is_a_sentence(spawn, keyed: Upstream, tmp_path: Path) -> None:
    """A bug of ours is one line; its traceback comes with --debug only, and without the key."""
    (tmp_path / "sitecustomize.py").write_text(
        "import bytedeck.client as c\n"
        f"def broken(*a, **k): raise TypeError('with {CANARY} in it')\n"
        "c.Hub.stream = broken\n"
    )
    told = []
    for flag in ([], ["--debug"]):
        process = spawn(
            *flag, "-m", MODEL, "hi", env={"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
        )
        out, err = process.communicate(timeout=10)
        assert_no_canary(out, err)
        assert process.returncode == 1
        assert b"This is a bug (TypeError, sitecustomize.py, line 2)" in err
        told.append(b"Traceback" in err)
    assert told == [False, True]


def _on_terminal(spawn, *args: str, height: int = 24, **more) -> tuple[int, str]:
    """Run with stdin and stdout on a pseudo-terminal; exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, 60, 0, 0))
    try:
        process = spawn(*args, stdin=theirs, stdout=theirs, **more)
        os.close(theirs)
        got = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while data := os.read(ours, 65536):
                got += data
        return process.wait(timeout=10), got.decode()
    finally:
        os.close(ours)


TERMINAL = {"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""}
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _screen(raw: str) -> list[str]:
    """The lines that stand on the terminal in the end, by the few sequences that are used."""
    lines, row, column = [""], 0, 0
    for piece in re.split(rf"({_SEQUENCE.pattern}|\r|\n)", raw):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            column = 0
        elif re.fullmatch(r"\x1b\[\d*A", piece):
            row -= int(piece[2:-1] or 1)
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif not _SEQUENCE.fullmatch(piece):
            lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return [line.rstrip() for line in lines]


MARKDOWN = "Some **bold** words.\n\n- one\n- two\n\n```python\nprint(1)\n```\n\nThe end of *it*."


def test_markdown_on_a_terminal(spawn, keyed: Upstream) -> None:
    """On a terminal the answer is rendered, each block once, and nothing raw is left of it."""
    pytest.importorskip("rich")
    keyed.script(words(MARKDOWN))
    code, raw = _on_terminal(spawn, "-m", MODEL, "hi", env=TERMINAL)
    assert code == 0
    assert "\x1b[1mbold" in raw
    shown = [line for line in _screen(raw) if line]
    assert shown[0] == "Some bold words."
    assert [line.strip() for line in shown[1:3]] == ["• one", "• two"]
    assert shown[3].strip() == "print(1)"
    assert shown[4:] == ["The end of it."]


def test_a_long_block_on_a_small_terminal(spawn, keyed: Upstream) -> None:
    """A block taller than the terminal is there whole in the end, once."""
    pytest.importorskip("rich")
    lines = [f"line{number}" for number in range(60)]
    keyed.script(words("```\n" + "\n".join(lines) + "\n```\n"))
    code, raw = _on_terminal(spawn, "-m", MODEL, "hi", height=10, env=TERMINAL)
    assert code == 0
    assert [line.strip() for line in _screen(raw) if line.strip()] == lines


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_dumb_terminal_gets_the_text(spawn, keyed: Upstream, env: dict[str, str]) -> None:
    """Where sequences are not understood there are none, those of the model's words neither."""
    keyed.script(words("**bold** \x1b]0;title\x07 end"))
    code, raw = _on_terminal(spawn, "-m", MODEL, "hi", env=env)
    assert (code, raw) == (0, "**bold** ]0;title end\r\n")


def test_no_color(spawn, keyed: Upstream) -> None:
    """NO_COLOR: the Markdown is rendered, and no colour is used."""
    pytest.importorskip("rich")
    keyed.script(words("Some **bold** `code`."))
    _, raw = _on_terminal(spawn, "-m", MODEL, "hi", env=TERMINAL | {"NO_COLOR": "1"})
    assert "bold" in raw
    assert not re.search(r"\x1b\[[0-9;]*(?:3[0-7]|4[0-7]|38;|48;|9[0-7])", raw)


def test_ctrl_c_on_a_terminal_leaves_it_in_order(spawn, keyed: Upstream) -> None:
    """The cursor that rendering hid is shown again, and the words stay."""
    pytest.importorskip("rich")
    keyed.script(_hanging("one two"))
    ours, theirs = pty.openpty()
    process = spawn("-m", MODEL, "hi", stdin=theirs, stdout=theirs, env=TERMINAL)
    os.close(theirs)
    got = b""
    while b"two" not in got:
        got += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):
        while data := os.read(ours, 4096):
            got += data
    os.close(ours)
    assert process.wait(timeout=10) == 130
    assert got.rindex(b"\x1b[?25h") > got.rindex(b"\x1b[?25l")
    assert [line for line in _screen(got.decode()) if line] == ["one two"]
