"""Battles of two hidden models on one prompt: one that you vote on, or many that judges decide."""

from __future__ import annotations

from typing import Any

import click

from ..options import as_json


@click.command("battle")
@click.argument("words", nargs=-1, metavar="[PROMPT]...")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Twice: who answers.  [default: the pair that tells most]",
)
@click.option(
    "-t", "--task", default="general", show_default=True, help="The task type that it is rated under."
)
@click.option("--file", "file", metavar="FILE", help="Prompts, one battle each; - for what is piped in.")
@click.option("--judges", default="0", show_default=True, metavar="N|MODELS", help="As for byte debate.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=500, show_default=True, help="Of each answer's text."
)
@click.option("--budget", metavar="USD", help="What each battle may cost; it pauses and asks there.")
@click.option("--no-vote", "votes", flag_value=False, default=None, type=bool, help="Do not ask who won.")
@as_json("Print each event as a line of JSON; the models stand in it.")
def battle(**given: Any) -> None:
    """Two hidden models answer a prompt side by side; you vote, and then see who they were.

    \b
      byte arena battle "Explain recursion to a child"
      byte arena battle -t coding --file prompts.txt
    """
    from .battles import Given, battle

    click.get_current_context().exit(battle(Given(**given)))


@click.command("run")
@click.option(
    "--battles", type=click.IntRange(min=1), default=20, show_default=True, help="How many to hold."
)
@click.option("--budget", metavar="USD", help="What all of them together may cost.")
@click.option(
    "-t", "--task", default="general", show_default=True, help="Its models fight, and are rated under it."
)
@click.option(
    "-m", "--model", "models", multiple=True, metavar="MODEL", help="These models instead of the task's."
)
@click.option(
    "--prompts", "file", metavar="FILE", required=True,
    help="What is asked: a line each, or blocks with empty lines between; .jsonl with a prompt each; - for a pipe.",
)  # fmt: skip
@click.option("--judges", default="3", show_default=True, metavar="N|MODELS", help="As for byte debate.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=500, show_default=True, help="Of each answer's text."
)
@click.option(
    "--at-once", type=click.IntRange(1, 16), default=2, show_default=True, help="How many run together."
)
@click.option(
    "--aim",
    type=click.Choice(["best", "order"]),
    default="best",
    show_default=True,
    help="To find the best one; or to test the first one against the others, as byte arena promote wants it.",
)
@as_json("Print what came of each battle as a line of JSON.")
def run(**given: Any) -> None:
    """Hold battles before judges, each of the pair that tells most then.

    \b
      byte arena run --battles 100 --budget 2 -t coding --prompts prompts.txt

    Ctrl-C ends it; what was held counts.
    """
    from .battles import Running, run

    click.get_current_context().exit(run(Running(**given)))


COMMANDS: tuple[click.Command, ...] = (battle, run)
