"""How an answer looks while it comes: Markdown on a terminal, the bare text everywhere else.

On a terminal finished blocks are printed once and never touched again; only the running one is redrawn.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from . import tell
from .blocks import Blocks

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.markdown import Markdown
    from rich.text import Text

# No terminal shows more pictures a second than this, and a burst of words need not be drawn one by one.
_REDRAW = 0.005


class Sink(Protocol):
    """Where an answer's words go."""

    def write(self, text: str) -> None:
        """More of the answer. Raises OutputFailed, and BrokenPipeError where the reader has left."""

    def end(self) -> None:
        """No more comes; the cursor stands on a new line afterwards. Idempotent."""


class Plain:
    """The text as it is."""

    def __init__(self) -> None:
        self._last = "\n"

    def write(self, text: str) -> None:
        if text:
            self._last = text[-1]
            tell.out(text, end="")

    def end(self) -> None:
        if self._last != "\n":
            self.write("\n")


class Rendered:
    """Markdown by rich."""

    def __init__(self) -> None:
        # Loading rich takes longer than most else here; meanwhile the model can think.
        threading.Thread(target=import_module, args=("rich.markdown",), daemon=True).start()
        self._live: Live | None = None
        self._blocks = Blocks()
        self._printed = 0
        self._drawn = 0.0

    def write(self, text: str) -> None:
        if not text:
            return
        live = self._live or self._start()
        finished = [block for block in self._blocks.feed(tell.cleaned(text)) if block]
        if not finished and time.monotonic() - self._drawn < _REDRAW:
            return
        if finished:
            live.update("", refresh=True)
        for block in finished:
            self._print(live.console, block)
        live.update(self._running(live.console), refresh=True)
        self._drawn = time.monotonic()

    def end(self) -> None:
        live, self._live = self._live, None
        if live is None:
            return
        live.update("")
        live.stop()
        rest = self._blocks.rest
        if rest.strip():
            self._print(live.console, rest)

    def _start(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(file=sys.stdout, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self._live

    def _running(self, console: Console) -> Text:
        """The running block as it was written, as much of its end as the terminal has room for."""
        from rich.text import Text

        width, height = console.size
        rows = max(1, height - 2)
        lines = self._blocks.rest.lstrip("\n")[-width * rows :].split("\n")[-rows:]
        wrapped = Text("\n".join(lines)).wrap(console, width)
        return Text("\n").join(wrapped[-rows:])

    def _print(self, console: Console, block: str) -> None:
        if self._printed:
            console.print()
        console.print(markdown(block))
        self._printed += 1


def markdown(block: str) -> Markdown:
    from rich.markdown import CodeBlock, Markdown
    from rich.syntax import Syntax

    class Code(CodeBlock):
        """Code from the first column on, so that it can be copied, on the terminal's own background."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            code = str(self.text).rstrip()
            yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, background_color="default")

    class Answer(Markdown):
        elements: ClassVar[dict[str, Any]] = {**Markdown.elements, "fence": Code, "code_block": Code}

    # The address of a link is shown: not every terminal can follow a hidden one.
    return Answer(block, code_theme="ansi_dark", hyperlinks=False)


def sink() -> Sink:
    """What suits the standard output: Markdown where a terminal can show it and rich is installed."""
    if (
        not tell.is_terminal(sys.stdout)
        or os.environ.get("TERM", "") in ("", "dumb")
        or find_spec("rich") is None
    ):
        return Plain()
    return Rendered()
