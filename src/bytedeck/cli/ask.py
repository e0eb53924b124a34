"""`byte ask`, and so every question: the options, and nothing but the options."""

from __future__ import annotations

from typing import Any

import click

from .options import as_json

_TAKEN = {
    "model": "-m", "models": "-m", "task": "-t", "system": "-s", "timeout": "--timeout",
    "max_cost": "--max-cost", "stream": "--no-stream", "messages": "a prompt", "prompt": "a prompt",
    "headers": "the settings file", "on_chunk": "a prompt", "self": "a prompt",
    "policy": "--failover", "can_erase": "--failover",
}  # fmt: skip


def _parameters(_: click.Context, __: click.Parameter, pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """`-o key value` pairs: the values as JSON where they are JSON, as text where not."""
    import json

    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in _TAKEN:
            raise click.BadParameter(f"{name!r} is not set like this; use {_TAKEN[name]}.")
        try:
            found[name] = json.loads(text, parse_constant=_refused)
        except (ValueError, RecursionError):
            found[name] = text
    return found


def _refused(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


@click.command("ask")
@click.argument("words", nargs=-1, metavar="[PROMPT]...")
@click.option(
    "-t", "--task", default="", metavar="TASK", help="What kind of task it is (see: byte tasks), or auto."
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="A model's id or alias. Several make a chain: the next one answers where one fails.",
)
@click.option("-s", "--system", default="", metavar="TEXT", help="A system message of your own.")
@click.option("-c", "--continue", "goes_on", is_flag=True, help="Go on with the last conversation.")
@click.option(
    "-a",
    "--attachment",
    "attachments",
    multiple=True,
    metavar="FILE",
    help="A picture, PDF, sound, video or text: a path, an address, or - for what is piped in.",
)
@click.option(
    "-o",
    "--option",
    "params",
    multiple=True,
    nargs=2,
    metavar="KEY VALUE",
    callback=_parameters,
    help="Any other field of the request, as in: -o temperature 0.2",
)
@click.option(
    "-u", "--usage", is_flag=True, help="Tell tokens, cost and times afterwards, and what today has cost."
)
@click.option("-x", "--extract", is_flag=True, help="Print only the first code block of the answer.")
@as_json("Print one JSON object: text, model, usage, cost, attempts …")
@click.option("--no-stream", is_flag=True, help="Print the answer once it is whole.")
@click.option("--no-save", is_flag=True, help="Do not keep this conversation for -c.")
@click.option(
    "--max-cost", metavar="USD", help="What the question may cost at most; what could cost more is not sent."
)
@click.option("--timeout", type=float, metavar="SECONDS", help="How long the whole answer may take.")
@click.option(
    "--failover",
    type=click.Choice(["continue", "restart", "error"]),
    help="When an answer breaks off: go on with the next model, begin anew, or stop.",
)
@click.option(
    "--hedge", is_flag=True, help="Ask the next model as well where the first is slower than usual."
)
@click.option("--compact", is_flag=True, help="Leave out the oldest messages where a prompt is too long.")
@click.option(
    "--explain", is_flag=True, help="Tell which models would be asked, why, and the worst case. Asks nobody."
)
@click.option("--debug", is_flag=True, hidden=True)
@click.pass_context
def command(ctx: click.Context, /, *, debug: bool, **given: Any) -> None:
    """Ask a model. `byte PROMPT` is short for it.

    What is piped in stands before the prompt. The answer alone goes to stdout; which model answers,
    and why, goes to stderr. The exit code is 0 for a whole answer only.
    """  # fmt: skip
    from .answer import answer
    from .question import Given

    if debug:
        ctx.meta["debug"] = True
    ctx.exit(answer(Given(**given)))
