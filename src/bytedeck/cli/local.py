"""`byte local`: the small model on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..io.local import Local


@click.group("local")
def command() -> None:
    """Look after the small model on this machine.

    It answers where there is no OpenRouter key.
    """


@command.command("install")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def install(yes: bool) -> None:
    """Fetch the model, 93 MB."""
    from ..io.local import DOWNLOAD_MEGABYTES, MODEL_NAME

    local = _local()
    found = local.status()
    if not found.installed and not yes:
        _ask(f"Fetch {MODEL_NAME}, {DOWNLOAD_MEGABYTES} MB, into {found.weights.parent}?", DOWNLOAD_MEGABYTES)
    local.install(tell.say)
    found = local.status()
    if not found.ready:
        tell.warn(found.reason)
    else:
        tell.say('Try it: byte -m local "hello"', dim=True)


def _ask(question: str, megabytes: int) -> None:
    """Raise Abort where the answer is no, and UsageError where there is nobody to answer."""
    if not tell.is_terminal(sys.stdin):
        raise click.UsageError(
            f"The model is a download of {megabytes} MB, and there is nobody to ask. Say yes with: byte local install --yes"
        )
    if not click.confirm(question, default=True, err=True):
        tell.say("Nothing was fetched.")
        raise click.exceptions.Exit(1)


@command.command("status")
@as_json()
def status(json_: bool) -> None:
    """Show whether it can answer, and where it lies."""
    from ..io.local import MODEL_ID, MODEL_NAME

    found = _local().status()
    if json_:
        told = {
            "model": MODEL_ID,
            "model_name": MODEL_NAME,
            "ready": found.ready,
            "installed": found.installed,
            "runtime": found.runtime,
            "path": str(found.weights),
            "bytes": found.size,
            "reason": found.reason,
        }
        tell.out_json(told)
        return
    tell.out(f"{MODEL_NAME}: {found.reason}")
    tell.out(f"{found.weights}" + (f", {found.size / 1e6:.0f} MB" if found.size else " (nothing there)"))
    if not found.installed:
        tell.say("Install it with: byte local install", dim=True)


@command.command("remove")
def remove() -> None:
    """Delete it."""
    local = _local()
    path = local.status().weights
    tell.out(f"Removed {path}" if local.remove() else "It is not installed.")


def _local() -> Local:
    from ..config import load
    from ..io.local import Local

    return Local(load().home)
