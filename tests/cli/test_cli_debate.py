"""`byte debate` at the terminal and in a pipe, over the simulator: what it shows, asks, costs, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from bytedeck.arena.events import Begun, Ended, Event, TurnEnded, Words
from bytedeck.simulator import Simulator
from canary import assert_no_canary

MINI, SONNET = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"
PAIR = ("-m", MINI, "-m", SONNET)
SHORT = ("--rounds", "1", "--judges", "0", "--commentator", "none", "--max-tokens", "20")
TERMINAL = {"TERM": "xterm-256color", "COLUMNS": "", "LINES": "", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.fixture
def sim(server: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator, with the settings that lead there."""
    server.reset()
    monkeypatch.setenv("OPENROUTER_API_KEY", server.api_key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    return server


def the_id(text: str) -> str:
    """The match that a hint names."""
    return re.findall(r"byte arena (?:show|resume|vote) ([a-z2-7]{10})", text)[-1]


def events(out: str) -> tuple[list[Event], dict]:
    """What --json printed: the events, and the bill."""
    *lines, bill = out.splitlines()
    return [msgspec.json.decode(line, type=Event) for line in lines], json.loads(bill)


def test_a_debate_in_a_pipe(byte, sim: Simulator) -> None:
    """Headings, arguments, verdict and summary on stdout in order; cost and what to do next on stderr."""
    told = byte("debate", "Is tea better?", *PAIR, "--rounds", "2", "--max-tokens", "30", "--budget", "1")
    assert told.exit_code == 0, told.stderr
    assert re.findall(r"^#+ (\w+)", told.stdout, re.MULTILINE) == [
        "Is", "Opening", "A", "B", "Closing", "A", "B", "The", "The",
    ]  # fmt: skip
    assert "A GPT-4o mini  for it" in told.stdout
    assert "budget $1" in told.stdout
    assert "\x1b" not in told.stdout
    assert re.search(
        r"Cost: A \$[\d.]+ · B \$[\d.]+ · judges \$[\d.]+ · commentator \$[\d.]+ · in all \$", told.stderr
    )
    again = byte("arena", "show", the_id(told.stderr))
    assert again.exit_code == 0
    assert again.stdout == told.stdout


def test_events_as_lines(byte, sim: Simulator) -> None:
    """--json: every event from the first to the last, numbered without gaps, then the bill, exact and as decimal text."""
    told = byte("debate", "Is tea better?", *PAIR, *SHORT, "--json")
    found, bill = events(told.stdout)
    assert told.exit_code == 0
    assert [one.seq for one in found] == list(range(len(found)))
    assert isinstance(found[0], Begun)
    assert isinstance(found[-1], Ended)
    ends = [one for one in found if isinstance(one, TurnEnded)]
    spoken = {one.turn.part: one.text for one in ends}
    for part, text in spoken.items():
        assert "".join(one.text for one in found if isinstance(one, Words) and one.part == part) == text
    assert bill["type"] == "bill"
    assert set(bill["parts_usd"]) == {"t0.0.0", "t0.0.1"}
    verified = json.loads(byte("ledger", "verify", "--json").stdout)
    assert verified["ok"]


def test_nobody_named(byte, sim: Simulator) -> None:
    """Without -m two of the task's models argue, of different makers, and it is said which."""
    told = byte("debate", "Tabs?", *SHORT, "-t", "coding", "--json")
    match = events(told.stdout)[0][0].match
    makers = {one.rated.partition("/")[0] for one in match.fighters}
    assert len(makers) == 2
    assert match.task == "coding"
    assert "no -m, so two of the task coding argue:" in told.stderr


def test_one_model_under_two_personas(byte, sim: Simulator) -> None:
    """One model that plays several: it meets itself, and that rates nobody."""
    told = byte(
        "debate", "Tabs?", *SHORT, "-m", MINI, "--personas", "skeptic, ada", "--stance", "yes", "--json"
    )
    match = events(told.stdout)[0][0].match
    assert [one.persona.name for one in match.fighters] == ["The Skeptic", "Ada"]
    assert [one.stance for one in match.fighters] == ["yes", ""]
    assert match.is_mirror
    assert "rates nobody" in told.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), 14, "There is no topic."),
        (("  ",), 14, "There is no topic."),
        (("x", "-m", MINI), 14, "needs 2 to 4 fighters"),
        (("x", *PAIR, *PAIR, "-m", MINI), 14, "needs 2 to 4 fighters"),
        (("x", "-m", "nobody/nothing", "-m", MINI), 6, "There is no model 'nobody/nothing'."),
        (("x", *PAIR, "--personas", "skeptik"), 14, "Did you mean: skeptic?"),
        (("x", *PAIR, "--personas", "zzz"), 14, "byte arena personas"),
        (("x", *PAIR, "--stance", "a", "--stance", "b", "--stance", "c"), 14, "3 stances for 2 fighters"),
        (("x", *PAIR, "--personas", "ada,ada,ada"), 14, "3 personas for 2 fighters"),
        (("x", *PAIR, "--budget", "nothing"), 14, "budget is 'nothing'"),
        (("x", *PAIR, "--judges", "99"), 14, "judges is 99"),
        (("x", *PAIR, "-t", "nonsense"), 6, "nonsense"),
        (("x", *PAIR, "--rounds", "0"), 2, "0 is not in the range"),
        (("x", *PAIR, "--turns", "sideways"), 2, "'sideways' is not one of"),
    ],
)
def test_what_cannot_be_meant(byte, sim: Simulator, args: Sequence[str], code: int, said: str) -> None:
    """A sentence, what to do, and nothing is sent or kept."""
    told = byte("debate", *args)
    assert said in told.stderr
    assert told.exit_code == code
    assert told.stdout == ""
    assert json.loads(byte("arena", "list", "--json").stdout) == []


def test_nobody_can_speak(byte, sim: Simulator) -> None:
    """All fighters down: it is over and says so, with the exit code of what failed."""
    told = byte("debate", "x", "-m", "sim/overloaded", "-m", "sim/overloaded", *SHORT)
    assert told.exit_code == 21
    assert told.stdout.count("Could not speak:") == 2
    assert "None of them could speak" in told.stdout


def test_a_pause_where_nobody_is_asked(byte, sim: Simulator) -> None:
    """The budget is used up and nobody is there: its exit code, and how to go on; then it goes on to its end."""
    told = byte("debate", "x", "-m", SONNET, "-m", SONNET, *SHORT, "--budget", "0.000001")
    assert told.exit_code == 12
    assert "Paused: $0 of $0.000001 spent" in told.stderr
    match = the_id(told.stderr)
    assert json.loads(byte("arena", "list", "--json").stdout)[0]["state"] == "paused"
    again = byte("arena", "resume", match[:6], "--budget", "1")
    assert again.exit_code == 0, again.stderr
    assert again.stdout.count("### ") == 2


def test_what_keeps_it_back_is_told(byte, sim: Simulator) -> None:
    """Credits that are used up: why it waits, how to go on, and the exit code of that; nobody is failed by it."""
    sim.fault("payment_required", model=SONNET)
    told = byte("debate", "x", *PAIR, *SHORT)
    assert told.exit_code == 12
    assert "Paused: Insufficient credits. Add funds" in told.stderr
    assert "It waits until that is mended. Go on with: byte arena resume" in told.stderr
    sim.no_faults()
    again = byte("arena", "resume", the_id(told.stderr))
    assert again.exit_code == 0, again.stderr
    assert "Could not speak" not in again.stdout


def test_ctrl_c_leaves_it_resumable(spawn, byte, sim: Simulator) -> None:
    """130 and the line that goes on; what was said before is shown again, then the rest, and nothing is lost."""
    sim.reset(tps=25)
    process = spawn("debate", "Stop?", *PAIR, "--rounds", "2", "--judges", "0", "--max-tokens", "25")
    heard = b""
    while b"## Closing" not in heard:
        heard += (more := process.stdout.read1())
        assert more, heard
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=20)
    heard += rest
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    match = the_id(err.decode())
    assert f"byte arena resume {match}" in err.decode()
    assert json.loads(byte("arena", "list", "--json").stdout)[0]["state"] == "cut off"
    sim.reset()
    again = byte("arena", "resume", match)
    assert again.exit_code == 0, again.stderr
    opening = heard.decode().split("## Closing")[0]
    assert opening.split("## Opening")[1] in again.stdout
    assert again.stdout.count("### ") == 4
    assert "had been cut off" in again.stderr
    assert byte("arena", "resume", match).exit_code == 14
    assert_no_canary(heard, err)


def on_terminal(
    spawn, *args: str, typed: Sequence[tuple[bytes, bytes]] = (), width: int = 100, height: int = 40
) -> tuple[int, str]:
    """Run on a pseudo-terminal; what is typed once something stands there; the exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    waiting, got, seen = list(typed), b"", 0
    try:
        process: subprocess.Popen[bytes] = spawn(
            *args, stdin=theirs, stdout=theirs, stderr=theirs, env=TERMINAL
        )
        os.close(theirs)
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while data := os.read(ours, 65536):
                got += data
                if waiting and waiting[0][0] in got[seen:]:
                    seen = len(got)
                    os.write(ours, waiting.pop(0)[1])
        return process.wait(timeout=20), got.decode()
    finally:
        os.close(ours)


def printed(raw: str) -> str:
    """What stands on the terminal for good: the live pictures are erased, line by line."""
    lines, row, column = [""], 0, 0
    for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", raw):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            column = 0
        elif re.fullmatch(r"\x1b\[\d*A", piece):
            row -= int(piece[2:-1] or 1)
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif not piece.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return "\n".join(line.rstrip() for line in lines)


def test_a_debate_on_a_terminal(spawn, byte, sim: Simulator, home: Path) -> None:
    """Both live and side by side; a pause asks, a wrong vote is asked again; in the end each round stands there once."""
    pytest.importorskip("rich")
    sim.reset(tps=400)
    code, raw = on_terminal(
        spawn, "debate", "Is tea better?", *PAIR, "--rounds", "2", "--max-tokens", "30", "--budget", "0.0005",
        typed=[(b"amount in USD]", b"much\n"), (b"amount in USD]", b"1\n"), (b"no vote]", b"Z\n"), (b"no vote]", b"B\n")],
    )  # fmt: skip
    assert code == 0, raw[-2000:]
    assert "thinking …" in raw
    assert raw.count("\x1b[?2026h") == raw.count("\x1b[?2026l") > 0
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l")
    assert not re.search(r"\x1b\[[0-9;]*(?:3[0-7]|38;|9[0-7])", raw)  # NO_COLOR
    shown = printed(raw)
    assert "thinking …" not in shown
    assert "The judges" not in shown
    for heading, count in (("Closing · round 2 of 2", 1), ("The verdict", 1), ("The commentator", 1)):
        assert shown.count(heading) == count, shown
    assert re.search(r"╭─ A GPT-4o mini ─+╮╭─ B Claude Sonnet 4\.5 ─+╮", shown)
    for told in (
        "has to be an amount",
        "It went on; it may cost",
        "'Z' is none of the fighters",
        "Your vote: B Claude",
    ):
        assert told in shown, shown
    (vote,) = json.loads(byte("arena", "show", the_id(raw), "--json").stdout)["votes"]
    assert (vote["source"], vote["choice"]) == ("owner", 1)


def test_keys_between_the_questions(spawn, byte, sim: Simulator) -> None:
    """What is typed while they speak tears no picture apart and is no vote; afterwards keys are shown again."""
    pytest.importorskip("rich")
    sim.reset(tps=60)
    code, raw = on_terminal(
        spawn, "debate", "x", *PAIR, *SHORT,
        typed=[(b"thinking", b"A\nB\n"), (b"Who won? [", b"tie\n")],
    )  # fmt: skip
    assert code == 0
    shown = printed(raw)
    assert shown.count("Opening · round 1 of 1") == 1, shown
    assert "no vote]: tie\n" in shown
    found = json.loads(byte("arena", "show", the_id(raw), "--json").stdout)["votes"]
    assert [one["choice"] for one in found] == [None]


def test_nobody_pays_more(spawn, sim: Simulator) -> None:
    """Enter at a pause is no: it ends with the budget's code, and can be resumed."""
    pytest.importorskip("rich")
    code, raw = on_terminal(
        spawn, "debate", "x", "-m", SONNET, "-m", SONNET, *SHORT, "--budget", "0.000001",
        typed=[(b"amount in USD]", b"\n")], width=60,
    )  # fmt: skip
    assert code == 12
    assert "byte arena resume" in raw


def test_votes_after_each_round(spawn, byte, sim: Simulator) -> None:
    """--vote asks after each round, too; Enter is no vote."""
    pytest.importorskip("rich")
    code, raw = on_terminal(
        spawn, "debate", "x", *PAIR, *SHORT, "--vote",
        typed=[(b"this round? [", b"tie\n"), (b"Who won? [", b"\n")], width=60,
    )  # fmt: skip
    assert code == 0
    found = json.loads(byte("arena", "show", the_id(raw), "--json").stdout)["votes"]
    assert [(one["round"], one["choice"]) for one in found] == [(0, None)]


def test_a_running_match_is_followed(spawn, byte, sim: Simulator) -> None:
    """`byte arena show` of what another process holds shows it to its end; nobody else may go on with it meanwhile."""
    sim.reset(tps=60)
    process = spawn("debate", "Slow?", *PAIR, *SHORT[:-1], "40", "--json")
    match = json.loads(process.stdout.readline())["match"]["id"]
    refused = byte("arena", "resume", match)
    assert (refused.exit_code, "is going on in another process" in refused.stderr) == (14, True)
    shown = byte("arena", "show", match)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    for line in out.splitlines():
        event = json.loads(line)
        if event["type"] == "turn_ended":
            assert event["text"].strip() in shown.stdout
    assert "It is not over" not in shown.stderr
