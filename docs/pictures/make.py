"""Makes the pictures anew: real runs of `byte` in a terminal, against the tests' upstream and the simulator, drawn as SVG.

python docs/pictures/make.py, where `pyte` (a terminal in memory) is installed besides what the tests need.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from bytedeck import Hub  # noqa: E402
from bytedeck.io.sqlite import SqliteStore  # noqa: E402
from bytedeck.io.watch import Watch  # noqa: E402
from bytedeck.simulator import Simulator  # noqa: E402
from docs_blocks import play  # noqa: E402 - the tests' own upstream
from upstream import Answer, Seen, Upstream, usage_of, words  # noqa: E402

COLUMNS, ROWS = 92, 60
KEY = "sk-or-v1-of-the-pictures"
ANSWER = """\
A number is prime when it is above one and only one and itself divide it:

```python
from math import isqrt


def is_prime(number: int) -> bool:
    return number > 1 and all(number % one for one in range(2, isqrt(number) + 1))
```

- `isqrt` **never rounds**, so large numbers are safe.
- It takes *√n* steps at most.
"""
# Days ago, task, model, cost: a small ledger to look at.
ASKED = (
    (6, "coding", "~anthropic/claude-sonnet-latest", "0.0213"),
    (5, "coding", "~anthropic/claude-sonnet-latest", "0.0542"),
    (5, "general", "openai/gpt-4o-mini", "0.000318"),
    (3, "architecture", "~openai/gpt-latest", "0.0417"),
    (2, "coding", "~anthropic/claude-sonnet-latest", "0.0871"),
    (1, "architecture", "~openai/gpt-latest", "0.0196"),
    (0, "coding", "~anthropic/claude-sonnet-latest", "0.0604"),
    (0, "general", "openai/gpt-4o-mini", "0.000142"),
)

# A round's words of each fighter.
ARGUMENTS = (
    (
        "Tea has kept people company for **five thousand years**, and asks for nothing but hot water.\n\n"
        "- It wakes without the crash.\n- A pot is for everyone at the table.",
        "My opponent praises speed. But who is in a hurry drinks whatever is there; who has the choice brews tea.",
    ),
    (
        "Coffee *built* the modern world: exchanges, newspapers and the first insurers began in coffee houses.\n\n"
        "Nothing else makes nine in the morning bearable.",
        "“No crash” is a claim without a number. Sales are one: for every cup of tea an office drinks three of coffee.",
    ),
)
REASONS = {
    True: "The first side names what it stands on; the second side's numbers are about habit, not about worth.",
    False: "The second side answered the claim of the other one directly and asked for its source.",
}

# Small enough for a few answers to show.
LIMITS = """\
limits.per_model = "20/hour"
[budget]
daily = "0.02"
monthly = "0.1 soft"
"""

# Rich's own format loads a font from elsewhere; these come with the machine.
FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {terminal_width} {terminal_height}" xml:space="preserve">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}</defs>
<rect width="{terminal_width}" height="{terminal_height}" rx="8" fill="#1d1f21" />
<g transform="translate(9, 0)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""


def typed(line: str, env: dict[str, str]) -> pyte.Screen:
    """The screen after a line was typed into a shell in which `byte` is a command."""
    byte = f"byte() {{ {sys.executable} -c 'from bytedeck.cli.main import main; main()' \"$@\"; }}"
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    stream.feed(f"$ {line}\r\n".encode())
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("sh", ["sh", "-c", f"{byte}\n{line}"], env)  # noqa: S606, S607
    fcntl.ioctl(
        terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS - 2, 0, 0)
    )  # the picture has an edge
    while data := _read(terminal):
        stream.feed(data)
    os.waitpid(pid, 0)
    return screen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux tells that the other end is closed
        return b""


def draw(screen: pyte.Screen, name: str) -> None:
    """Write what stands on the screen as `<name>.svg`."""
    lines = [_line(screen.buffer[row]) for row in range(screen.cursor.y)]
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text("\n").join([*lines, Text()]))
    svg = console.export_svg(title="", theme=MONOKAI, code_format=FORMAT, unique_id=name)
    (HERE / f"{name}.svg").write_text(svg, "utf-8")


def _line(row: Mapping[int, pyte.screens.Char]) -> Text:
    runs: list[tuple[str, Style]] = []
    style = Style()
    for char in (row[column] for column in range(COLUMNS)):
        if char.data != " ":  # a space belongs to what stands before it: some programs drop leading ones
            style = Style(color=_colour(char.fg), bold=char.bold, italic=char.italics)
        runs.append((char.data, style))
    joined = [("".join(data for data, _ in run), style) for style, run in groupby(runs, lambda one: one[1])]
    text = Text.assemble(*joined)
    text.rstrip()
    return text


def _colour(name: str) -> str | None:
    """pyte's name of a colour as rich's."""
    if name == "default":
        return None
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    plain = name.removeprefix("bright").replace("brown", "yellow")
    return f"bright_{plain}" if name.startswith("bright") else plain


def debated(seen: Seen) -> Answer:
    """What a fighter of the debate says, or what a judge thinks of both."""
    said = json.dumps(seen.json, ensure_ascii=False)
    if "response_format" not in seen.json:
        side = int("anthropic" not in seen.json["model"])
        text = ARGUMENTS[side][said.count('"assistant"') % 2]
        return words(text, usage=usage_of(text, "0.00041")).paced(0.01)
    # Tea is whichever side begins with its first argument.
    tea, coffee = (
        ("side_1", "side_2")
        if said.find(ARGUMENTS[0][0][:30]) < said.find(ARGUMENTS[1][0][:30])
        else ("side_2", "side_1")
    )
    better = "mistral" not in seen.json["model"]
    rubric = ("evidence", "reasoning", "rebuttal", "clarity")
    row = {tea: dict.fromkeys(rubric, 8 if better else 6), coffee: dict.fromkeys(rubric, 6 if better else 7)}
    told = {
        "reason": REASONS[better],
        "rounds": {"round_1": row, "round_2": row},
        "places": {tea: 1 if better else 2, coffee: 2 if better else 1},
    }
    return words(json.dumps(told), usage=usage_of("", "0.0009"))


def fill(upstream: Upstream, home: Path) -> None:
    """Ask what `ASKED` says, with a ledger whose clock stands as many days back."""
    for days, task, model, cost in ASKED:
        upstream.script(words(usage=usage_of(ANSWER, Decimal(cost))))
        with Hub(home=home, api_key=KEY, base_url=upstream.url) as hub:
            at = (time.time_ns() // 1000) - days * 86_400_000_000
            hub.house.__dict__["store"] = store = SqliteStore(str(home / "ledger.db"), clock=lambda at=at: at)
            hub.house.watch = Watch(store)
            hub.chat("hi", task=task, model=model)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream:
        home = Path(folder)
        play(upstream)
        env = {**os.environ, "BYTE_HOME": folder, "OPENROUTER_API_KEY": KEY, "TERM": "xterm-256color"}
        env["OPENROUTER_BASE_URL"] = upstream.url
        env.pop("NO_COLOR", None)
        draw(typed("byte tasks", env), "tasks")
        fill(upstream, home)
        draw(typed("byte usage --by model 2> /dev/null", env), "usage")
        upstream.script(words(ANSWER, usage=usage_of(ANSWER, "0.001266")).paced(0.02))
        draw(typed('byte -u -t coding "A function that tells whether a number is prime"', env), "answer")
        upstream.script(debated)
        draw(
            typed('byte debate "Is tea better than coffee?" --rounds 2 --commentator none --no-vote', env),
            "debate",
        )
    with tempfile.TemporaryDirectory() as folder, Simulator(tps=60) as simulator:
        env |= {"BYTE_HOME": folder, "OPENROUTER_BASE_URL": simulator.base_url}
        env["OPENROUTER_API_KEY"] = simulator.api_key
        draw(
            typed('byte -u -m sim/cut:tokens=34 -m openai/gpt-4o-mini "Why is the sky blue?"', env), "bad-day"
        )
        (Path(folder) / "config.toml").write_text(LIMITS)
        for model in ("openai/gpt-4o-mini", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"):
            typed(f"byte -m {model} -o max_tokens 400 hello", env)
        draw(typed("byte limits 2> /dev/null", env), "limits")
        (Path(folder) / "config.toml").unlink()
        for model in ("sim/overloaded", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5") * 3:
            typed(f"byte -m {model} -o max_tokens 20 hello", env)
        draw(typed("byte models health 2> /dev/null", env), "health")


if __name__ == "__main__":
    main()
