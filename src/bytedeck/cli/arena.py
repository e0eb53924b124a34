"""`byte arena`: the matches that were held, and the commands of ratings, battles and orders, which have files of their own."""

from __future__ import annotations

import os
import sys

import click

from . import tell
from .bouts import blind as arena_battles
from .bouts import orders as arena_orders
from .bouts import ratings as arena_ratings
from .options import as_json

_FORMATS = ("md", "json", "html", "svg", "card")
_id = click.argument("match", metavar="ID")


@click.group("arena", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """See matches again, vote, and what they say of the models.

    An ID may be shortened to its beginning. `byte debate` holds a debate, `byte arena battle` a blind battle of two.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, limit=10, before="", json_=False)


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first."
)
@click.option("--before", default="", metavar="ID", help="Only those made before this one.")
@as_json()
def list_(limit: int, before: str, json_: bool) -> None:
    """List the matches, newest first."""
    from ..client import Hub
    from .bouts import matches

    with Hub() as hub:
        found = hub.arena.matches(limit, before=before)
        rows = [matches.row(hub, one) for one in found]
    if json_:
        tell.out_json([matches.as_json(one) for one in found])
    elif rows:
        tell.out(matches.drawn(rows))
        tell.say("One whole: byte arena show ID", dim=True)
        if len(rows) == limit:
            tell.say(f"Older ones: byte arena list --before {found[-1].match.id}", dim=True)
    else:
        _tell_how()


def _tell_how() -> None:
    tell.out("There are no matches yet.")
    tell.out(
        tell.table(
            [
                ('  byte debate "Is tea better than coffee?"', "two models argue, others judge"),
                ('  byte arena battle "Explain recursion"', "two hidden models answer, you vote"),
            ]
        )
    )


@command.command("show")
@_id
@click.option("--reveal", is_flag=True, help="Tell the models of a battle, whether you have voted or not.")
@as_json("Print the whole match as one JSON document.")
def show(match: str, reveal: bool, json_: bool) -> None:
    """Show a match whole; one that is going on is followed to its end."""
    from ..client import Hub
    from .bouts import matches

    with Hub() as hub:
        kept = hub.arena.find(match)
        if json_:
            tell.out(matches.exported(hub, kept, "json", reveal=True).rstrip("\n"))
        else:
            matches.show(hub, kept, reveal)


@command.command("replay")
@_id
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="4: four times as fast.",
)
@as_json("Print each event as a line of JSON, when it is due.")
def replay(match: str, speed: float, json_: bool) -> None:
    """Play a match once more, in the time that it took."""
    from ..client import Hub
    from .bouts import matches

    with Hub() as hub:
        matches.replay(hub, hub.arena.find(match), speed, json_)


@command.command("export")
@_id
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="Markdown, JSON, a page with a replay, a picture to share, that picture as a page.  [default: by the file's name, or md]",
)
@click.option("-o", "--output", metavar="FILE", help="Where it goes.  [default: stdout]")
@click.option("--reveal", is_flag=True, help="Tell the models of a battle, whether you have voted or not.")
def export(match: str, form: str | None, output: str | None, reveal: bool) -> None:
    """Write a match as a document of its own."""
    from ..client import Hub
    from .bouts import matches

    form = form or _by_name(output)
    with Hub() as hub:
        document = matches.exported(hub, hub.arena.find(match), form, reveal)
    if output is None or output == "-":
        tell.out(document.rstrip("\n"))
        return
    try:
        with open(output, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(document)
    except OSError as exc:
        raise click.FileError(output, exc.strerror or str(exc)) from exc
    tell.say(f"Wrote {output}", dim=True)


def _by_name(output: str | None) -> str:
    """The format that a file's name ends in; Markdown where nothing is named. Raises BadOptionUsage."""
    name = "" if output in (None, "-") else os.path.basename(output or "")
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending in ("", "markdown"):
        return "md"
    form = "html" if ending == "htm" else ending
    if form not in _FORMATS:
        known = ", ".join(f".{one}" for one in _FORMATS if one != "card")
        raise click.BadOptionUsage(
            "--output", f"There is no format .{ending}; there are {known}. Or name it: --format"
        )
    return form


@command.command("resume")
@_id
@click.option("--budget", metavar="USD", help="What all of it may cost from now on.")
@click.option("--vote/--no-vote", "votes", default=None, help="As for byte debate.")
@as_json("Print each event as a line of JSON.")
@click.pass_context
def resume(ctx: click.Context, match: str, budget: str | None, votes: bool | None, json_: bool) -> None:
    """Go on with a match that was stopped, cut off, or waits for money."""
    from ..client import Hub
    from .bouts import matches
    from .bouts.bout import Bout

    with Hub() as hub:
        kept = hub.arena.find(match)
        debate = hub.resume(kept.match.id, budget=budget)
        debate.open()
        hidden = matches.is_hidden(hub, kept)
        past = () if json_ else debate.past
        code = Bout(hub, debate, json_=json_, votes=votes, hidden=hidden, past=past).hold()
    ctx.exit(code)


@command.command("vote")
@_id
@click.argument("choice", metavar="A|B|tie|NAME")
@click.option(
    "--round", "round_", type=click.IntRange(min=1), metavar="N", help="On one round, 1 for the first."
)
@as_json()
def vote(match: str, choice: str, round_: int | None, json_: bool) -> None:
    """Say who won a match; a later vote replaces an earlier one.

    In a match that a gateway's key has made it counts as a spectator's.
    """
    from ..client import Hub
    from .bouts import matches, scorecard

    with Hub() as hub:
        kept = hub.arena.find(match)
        # What a gateway's key has made is that key's own.
        whose = "spectators" if kept.match.owner else "owner"
        was_hidden = matches.is_hidden(hub, kept)
        given = hub.arena.vote(kept.match.id, choice, round=round_ - 1 if round_ else None, source=whose)
        told = [
            scorecard.tally(kept.match, one)
            for one in hub.arena.tally(kept.match.id)
            if one.source == "spectators"
        ]
    if json_:
        tell.out_json({"match": kept.match.id, "choice": given.choice, "round": given.round})
        return
    tell.out(f"Your vote: {scorecard.chosen(kept.match, given.choice)}.")
    if was_hidden:
        tell.out(scorecard.plain(scorecard.revealed(kept.match)))
    for line in told:
        tell.say(line, dim=True)


@command.command("forget")
@_id
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def forget(match: str, yes: bool) -> None:
    """Remove a match and what it said of the models. What it cost stays in the ledger."""
    from ..client import Hub

    with Hub() as hub:
        kept = hub.arena.find(match)
        if not yes:
            _ask(f"Remove the match {kept.match.id}?")
        hub.arena.forget(kept.match.id)
    tell.out(f"Removed {kept.match.id}.")


def _ask(question: str) -> None:
    """Raise Exit where the answer is no, and UsageError where there is nobody to answer."""
    if not tell.is_terminal(sys.stdin):
        raise click.BadOptionUsage("--yes", "There is nobody to ask. Say yes with: --yes")
    if not click.confirm(question, default=False, err=True):
        tell.say("Nothing was removed.")
        raise click.exceptions.Exit(1)


@command.command("personas")
@as_json()
def personas(json_: bool) -> None:
    """List whom a fighter may play."""
    from ..arena.show.text import one_line
    from ..config import load

    config = load()
    found = config.arena.personas
    if json_:
        tell.out_json([{"id": key, **one} for key, one in found.items()])
        return
    rows = [(key, one["name"], one_line(one.get("style", ""), 100)) for key, one in found.items()]
    tell.out(tell.table([("PERSONA", "NAME", "STYLE"), *rows]))
    tell.say(
        f'As in: byte debate "…" --personas {",".join(list(found)[:2])}. Yours go into {config.file}',
        dim=True,
    )


for _one in (*arena_battles.COMMANDS, *arena_ratings.COMMANDS, *arena_orders.COMMANDS):
    command.add_command(_one)
