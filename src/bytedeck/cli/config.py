"""`byte config`: every setting with its value and where that comes from."""

from __future__ import annotations

import click

from . import tell
from .options import as_json


@click.group("config", invoke_without_command=True)
@as_json()
@click.pass_context
def command(ctx: click.Context, json_: bool) -> None:
    """Show every setting, its value and its source."""
    if ctx.invoked_subcommand is not None:
        return
    from ..config import load, shown

    config = load()
    rows = shown(config)
    if json_:
        tell.out_json([{"name": name, "value": value, "source": source} for name, value, source in rows])
        return
    tell.out(tell.table([("SETTING", "VALUE", "SOURCE"), *rows]))
    own = [
        f"{name} ({where})"
        for name, where in config.where.items()
        if name.startswith("tasks.") and where != "shipped"
    ]
    if own:
        tell.out(f"Tasks of your own: {', '.join(own)}")
    for warning in config.warnings:
        tell.warn(warning)
    there = "" if config.file.exists() else " (not there yet)"
    tell.say(f"Settings file: {config.file}{there}", dim=True)


@command.command("path")
def path() -> None:
    """Print the path of the settings file."""
    from ..config import load

    tell.out(str(load().file))
