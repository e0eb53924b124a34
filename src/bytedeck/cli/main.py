"""The command `byte`: which command a line means. What is no command is a question.

`byte --help` imports click and the commands' declarations; what a command needs it imports when it runs.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from .exits import exits

COMMANDS = (
    "ask",
    "debate",
    "arena",
    "tasks",
    "models",
    "usage",
    "limits",
    "ledger",
    "keys",
    "config",
    "local",
    "serve",
    "simulate",
)
"""Each is a module of this folder that has a `command`."""

SHORT_HELP = """\
Byte asks the right model for the task and streams its answer.

  byte "why is the sky blue?"
  byte -t coding "a function that tells whether a number is prime"
  git diff | byte "write a commit message"

More: byte --help; the options of a question: byte ask --help"""

_FLAGS = ("--debug",)
# "task" or "usge" surely means the command; "sky" surely does not.
_ALIKE = 0.8


class Deck(click.Group):
    """The commands, each imported when it is needed; anything else goes to `ask`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f".{cmd_name}", __package__).command
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["line"] = tuple(args)
        with exits():  # --help and --version speak here
            return super().parse_args(ctx, args if ctx.resilient_parsing else _routed(args))

    def invoke(self, ctx: click.Context) -> object:
        with exits():
            try:
                return super().invoke(ctx)
            except click.UsageError as exc:
                if more := _way_out(ctx, exc):
                    raise click.UsageError(exc.format_message() + more, exc.ctx) from exc
                raise


def _routed(args: list[str]) -> list[str]:
    """The arguments with the command that they mean in front."""
    flags = next((place for place, one in enumerate(args) if one not in _FLAGS), len(args))
    given, rest = args[:flags], args[flags:]
    if not rest:
        return args
    first = rest[0]
    if first == "help" and len(rest) <= 2 and all(one in COMMANDS for one in rest[1:]):
        return [*given, *rest[1:], "--help"]
    if first in COMMANDS or first in ("--help", "-h", "--version"):
        return args
    if len(rest) == 1:
        _check_meant(first)
    return [*given, "ask", *rest]


def _way_out(ctx: click.Context, exc: click.UsageError) -> str:
    """What helps who meant a question and hit a command, or an option."""
    words = ctx.meta["line"]
    if isinstance(exc, click.NoSuchOption) and ctx.invoked_subcommand == "ask":
        return " A prompt that begins with a dash stands after two of them: byte -- …"
    # Wrong words for a command, and nothing but words: it may be a sentence.
    if type(exc) in (click.UsageError, click.NoSuchCommand) and len(words) > 2:
        return f" To ask a model: byte ask {' '.join(words)}" if words[0] == ctx.invoked_subcommand else ""
    return ""


def _check_meant(word: str) -> None:
    """Raise UsageError for a single word that looks like a mistyped command."""
    if not word.isidentifier():
        return
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), COMMANDS, 1, _ALIKE)
    if near:
        raise click.UsageError(f"Did you mean `byte {near[0]}`? To ask it: byte ask {word}")


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"byte {version('bytedeck')}")
        ctx.exit()


@click.group(
    cls=Deck,
    invoke_without_command=True,
    subcommand_metavar="[PROMPT | COMMAND]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
              help="Show the version and exit.")  # fmt: skip
@click.option("--debug", is_flag=True, help="Show the traceback of a bug (or set BYTE_DEBUG=1).")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Asks the right model for the task and streams its answer.

    \b
      byte "why is the sky blue?"
      byte -t coding "a function that tells whether a number is prime"
      git diff | byte "write a commit message"

    What is not one of the commands below is a question. A question that equals a command: byte ask usage.
    The options of a question: byte ask --help.
    """
    ctx.find_root().meta["debug"] = debug
    if ctx.invoked_subcommand is None:
        _ask_without_words(ctx)


def _ask_without_words(ctx: click.Context) -> None:
    """`byte` alone: what is piped in is the question; with nothing piped in, the short help."""
    from .prompt import is_fed

    if is_fed(sys.stdin):
        from .ask import command

        # Parsed anew: `ctx.invoke(command)` would leave out what its options' callbacks make of the defaults.
        with command.make_context("ask", [], parent=ctx) as asking:
            command.invoke(asking)
    else:
        click.echo(SHORT_HELP)


def main() -> None:
    """Run the command; `entry` is the console script around it."""
    for stream in (sys.stdout, sys.stderr):
        # An answer with a sign that the terminal's encoding lacks is still an answer.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    cli(prog_name="byte")
