"""`byte keys`: the OpenRouter key, of which no more than its last four characters are ever shown.

The virtual keys of a gateway have their commands in `callers`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import callers, tell
from .cap import offer

if TYPE_CHECKING:
    from ..config import Config, Secret

_WHERE_TO_GET = "Keys come from https://openrouter.ai/keys"
_LAST = 4
_check = click.option("--check", is_flag=True, help="Ask OpenRouter whether it takes the key.")


@click.group("keys")
def command() -> None:
    """Save the OpenRouter key (set, status, remove); make and change virtual keys for a gateway's clients."""


@command.command("set")
@_check
def set_(check: bool) -> None:
    """Save a key in a file that only you can read. It is asked for unseen, or read from a pipe."""
    from ..config import Secret, load, save_key

    home = _home()
    key = _asked()
    if check:
        _verify(key)
    path = save_key(home, key)
    tell.out(f"Saved the key {_hidden(Secret(key.strip()))} in {path}")
    config = load()
    if config.key_source != str(path):
        tell.warn(f"{config.key_source} is set in the environment, and wins over the saved key.")
    offer(config)


@command.command("status")
@_check
def status(check: bool) -> None:
    """Show where the key comes from."""
    from ..config import load

    config = load()
    if config.api_key is None:
        tell.out("There is no key.")
        tell.say(f"Save one with: byte keys set. {_WHERE_TO_GET}", dim=True)
        return
    tell.out(f"{_hidden(config.api_key)} from {config.key_source}, sent to {config.base_url}")
    if check:
        _verify(None)


@command.command("remove")
def remove() -> None:
    """Forget the saved key."""
    from ..config import key_path, load, remove_key

    home = _home()
    tell.out(f"Removed {key_path(home)}" if remove_key(home) else "There is no saved key.")
    _tell_of_environment(load())


for _one in callers.COMMANDS:
    command.add_command(_one)


def _tell_of_environment(config: Config) -> None:
    if config.api_key is not None:
        tell.note(f"a key is still set by {config.key_source}.")


def _home() -> Path:
    """The home folder. A key that is given needs no file, so a damaged one cannot lock out its own cure."""
    import os

    from ..config import load

    return load({**os.environ, "OPENROUTER_API_KEY": "unused", "OPENROUTER_KEY": ""}).home


def _asked() -> str:
    """The key, from a pipe or from a person."""
    if tell.is_terminal(sys.stdin):
        tell.say(f"{_WHERE_TO_GET}. What you type is not shown.", dim=True)
        typed: str = click.prompt("OpenRouter key", hide_input=True, err=True)
        return typed
    return sys.stdin.read() if sys.stdin is not None else ""


def _hidden(key: Secret) -> str:
    text = key.reveal()
    return f"…{text[-_LAST:]}" if len(text) > 4 * _LAST else "…"


def _verify(key: str | None) -> None:
    """Ask OpenRouter what it knows of the key. Raises AuthenticationFailed and its like."""
    from ..client import Hub

    with Hub(api_key=key.strip() if key else None) as hub:
        account = hub.house.account(hub.wire)
    tell.out("OpenRouter takes the key.")
    rows = [(label, _amount(account.get(name))) for label, name in _TOLD if name in account]
    if rows:
        tell.out(tell.table(rows))


_TOLD = (
    ("label", "label"),
    ("limit", "limit"),
    ("left of it", "limit_remaining"),
    ("used", "usage"),
    ("used this month", "usage_monthly"),
    ("free tier", "is_free_tier"),
    ("expires", "expires_at"),
)


def _amount(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str) else f"${value:f}"
