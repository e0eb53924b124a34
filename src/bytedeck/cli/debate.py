"""`byte debate`: the options, and nothing but the options."""

from __future__ import annotations

from typing import Any

import click

from .options import as_json


@click.command("debate")
@click.argument("words", nargs=-1, metavar="TOPIC...")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Who argues: two to four times. Nobody named: two of the task's models.",
)
@click.option(
    "--stance",
    "stances",
    multiple=True,
    metavar="TEXT",
    help="What a fighter stands for, in the order of -m.  [default: for it, against it]",
)
@click.option(
    "--personas", metavar="NAMES", help="Whom they play: skeptic,dreamer (see: byte arena personas)."
)
@click.option(
    "--rounds", type=click.IntRange(1, 9), default=3, show_default=True, help="Opening, rebuttals, closing."
)
@click.option(
    "--turns",
    type=click.Choice(["simultaneous", "alternating"]),
    default="simultaneous",
    show_default=True,
    help="All at once; or one after the other, and then once more in reversed order.",
)
@click.option(
    "--judges",
    default="3",
    show_default=True,
    metavar="N|MODELS",
    help="How many judge, or which models: a,b,c. 0: nobody.",
)
@click.option(
    "--commentator", metavar="MODEL", help="Who sums up at the end; none: nobody.  [default: as set]"
)
@click.option("--budget", metavar="USD", help="What all of it may cost; it pauses and asks there.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=500, show_default=True, help="Of each turn's text."
)
@click.option(
    "-t", "--task", default="general", show_default=True, help="The task type that it is rated under."
)
@click.option(
    "--fallback",
    type=click.Choice(["void", "spoke"]),
    default="void",
    show_default=True,
    help="Where another model had to speak: that turn rates nobody, or whoever spoke.",
)
@click.option(
    "--vote/--no-vote",
    "votes",
    default=None,
    help="Ask for your vote after each round; or never.  [default: at the end]",
)
@click.option("--public", is_flag=True, help="Other keys of the gateway may watch it and vote.")
@as_json("Print each event as a line of JSON.")
def command(**given: Any) -> None:
    """Let models argue about a topic, live and side by side, before judges.

    \b
      byte debate "Is tea better than coffee?"
      byte debate "Tabs or spaces?" -m sonnet -m gpt --stance tabs --stance spaces
      byte debate "Should cities ban cars?" --personas skeptic,dreamer --budget 0.50

    Ctrl-C stops it; `byte arena resume ID` goes on later, and no finished turn is lost.
    """
    from .bouts.fight import Given, fight

    click.get_current_context().exit(fight(Given(**given)))
