"""A cap on a day's spend is offered once: when a key is saved, or else with the first answer that costs something.

Who has no terminal is told once, and never asked.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import limits, tell

if TYPE_CHECKING:
    from ..config import Config

_MARK = ".cap-offered"
_NO = ("", "no", "none", "off")


def offer(config: Config) -> None:
    """Ask for the cap, unless a budget is set or it was asked before. Raises click.Abort where the person leaves."""
    if _is_said(config) or not _is_first_time(config.home):
        return
    if not (tell.is_terminal(sys.stdin) and tell.is_terminal(sys.stderr)):
        tell.say("No limit is set on what it may spend. One line sets it: byte limits daily 5", dim=True)
        return
    said = click.prompt(
        "Daily cap in USD, such as 5 (Enter for none)",
        default="",
        show_default=False,
        err=True,
        value_proc=_amount,
    )
    if not said:
        tell.say("No cap. One can be set at any time: byte limits daily 5", dim=True)
        return
    from ..config import load, set_budget

    set_budget(config.file, "daily", said)
    for budget in load().rules.budgets:
        tell.out(limits.sentence(budget))
    tell.out("Change it with: byte limits daily 10, or off")


def mention(config: Config) -> None:
    """A line behind an answer that cost something, for a person whose key was never saved here."""
    if tell.is_terminal(sys.stderr) and not _is_said(config) and _is_first_time(config.home):
        tell.say("Nothing limits what a day may cost. One line does: byte limits daily 5", dim=True)


def _is_said(config: Config) -> bool:
    """Whether a budget is set, or was declined."""
    return bool(config.rules.budgets) or config.where["budget.daily"] != "default"


def _amount(typed: str) -> str:
    """What is typed, as `set_budget` takes it; "" for none. Raises UsageError, so that it is asked again."""
    from ..config.limits import AN_AMOUNT, amount

    said = typed.strip()
    if said.lower() in _NO:
        return ""
    try:
        amount(said)
    except ValueError as exc:
        raise click.UsageError(f"It has to be {AN_AMOUNT}; or Enter for none.") from exc
    return said


def _is_first_time(home: Path) -> bool:
    """Whether nobody was offered it; from now on somebody was. Where that cannot be kept, nobody is ever asked."""
    try:
        os.close(os.open(home / _MARK, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    return True
