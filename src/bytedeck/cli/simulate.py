"""`byte simulate`: a local OpenRouter, with its failures on a switch."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..simulator.settings import Settings

_MOST_PORTS = 65535
_NEEDED = ("uvicorn", "httptools", "jsonschema_rs")


class _Failed(click.ClickException):
    exit_code = 2


def _port(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and int(text[:6]) <= _MOST_PORTS):
        raise click.BadParameter(
            f"{text!r} is no port: that is a whole number from 0 (any free one) to {_MOST_PORTS}."
        )
    return int(text)


def _share(value: Any) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{str(value)!r} is no share: that is a number from 0 (none) to 1 (all).")
    return share


@click.command("simulate")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=_port, default=8788, show_default=True, metavar="PORT", help="0: any free one.")
@click.option("--seed", default="0", show_default=True, help="What every word and chance follows from.")
@click.option("--tps", type=float, default=0.0, help="Tokens a second; 0: no waiting.")
@click.option("--ttft", type=float, default=0.0, help="Seconds to the first token.")
@click.option("--jitter", type=float, default=0.0, help="How much pauses differ: 0 to 1.")
@click.option("--faults", default="", metavar="FAULT", help='A fault for every request, or "random".')
@click.option(
    "--rate",
    type=_share,
    default=None,
    metavar="FLOAT",
    help="How many requests it hits: 0 to 1.  [default: 1; random: 0.1]",
)
@click.option("--script", default="", metavar="FILE", help="Faults over time, TOML or JSON.")
@click.option("--frozen", is_flag=True, help="The clock stands still until POST /sim/clock moves it.")
@click.option(
    "--at", default=None, metavar="MOMENT", help="Where the clock begins, as in 2026-08-22T12:00:00."
)
@click.option(
    "--words-from", default="", metavar="URL", help="An OpenAI-compatible server whose words are used."
)
@click.option("--local", is_flag=True, help="Use the words of the small model on this machine.")
@click.option("--list-faults", is_flag=True, help="Show every fault and what it takes.")
@as_json("Print where it listens, or the faults, as JSON.")
def command(list_faults: bool, json_: bool, local: bool, at: str | None, **options: Any) -> None:
    """Serve a local OpenRouter that fails on demand.

    \b
      byte simulate
      byte simulate --tps 40 --ttft 0.5 --jitter 0.3
      byte simulate --faults random --rate 0.2 --seed 7
      byte simulate --list-faults

    A client chooses a fault by the header X-Sim-Fault, or by a model's name: sim/stall, sim/cut:tokens=5.
    """
    _check_installed()
    from ..simulator.errors import SimulatorError

    try:
        if list_faults:
            _list_faults(json_)
        else:
            _serve(options, at, local, json_)
    except SimulatorError as exc:
        raise _Failed(str(exc)) from exc


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise _Failed(f"The simulator needs {', '.join(missing)}. Install the extra: bytedeck[server].")


def _list_faults(json_: bool) -> None:
    from ..simulator.faults import table as faults

    rows = faults.listed()
    if json_:
        tell.out_json(rows)
        return
    told = [(_written(row["name"], row["params"]), row["rows"], row["summary"]) for row in rows]
    tell.out(tell.table([("FAULT", "ROWS", "WHAT HAPPENS"), *told]))


def _written(name: str, params: dict[str, Any]) -> str:
    return ";".join((name, *(f"{key}={value}" for key, value in params.items() if value != "")))


def _serve(options: dict[str, Any], at: str | None, local: bool, json_: bool) -> None:
    from ..simulator import clock, server
    from ..simulator.faults.table import RANDOM
    from ..simulator.settings import Settings, check

    rate = options.pop("rate")
    if rate is not None and not options["faults"]:
        raise _Failed(
            "--rate says how many requests --faults hits: give both. A script's entries have a rate of their own."
        )
    if rate is None:
        rate = 0.1 if RANDOM in options["faults"].lower() else 1.0
    if local and options["words_from"]:
        raise _Failed("--local and --words-from are two sources of words: choose one.")
    moment = None if at is None else clock.moment(at)
    with _local_words() if local else _own_words() as words:
        settings = check(Settings(rate=rate, at=moment, **(options | words)))
        if server.is_public(settings):
            tell.warn(f"Whoever reaches {settings.host} can use this simulator; its keys are public.")
        if settings.words_from:
            _check_words(settings)
        server.serve(settings, lambda url: _announce(url, json_))


def _check_words(settings: Settings) -> None:
    from ..simulator.words import borrowed

    if why := borrowed.trouble(settings):
        tell.warn(
            f"No words from {settings.words_from}: {why}. Until it answers, requests for words are refused with 502."
        )


def _own_words() -> AbstractContextManager[dict[str, str]]:
    return nullcontext({})


@contextmanager
def _local_words() -> Iterator[dict[str, str]]:
    from ..config import load
    from ..io.local import Local

    local = Local(load().home)
    try:
        served = local.start()
        yield {"words_from": served.base_url, "words_key": served.api_key}
    finally:
        local.stop()


def _announce(url: str, json_: bool) -> None:
    from ..simulator.world import DEFAULT_KEY

    if json_:
        tell.out_json({"url": url, "base_url": f"{url}/api/v1", "api_key": DEFAULT_KEY})
        return
    tell.say(f"A local OpenRouter listens at {url}/api/v1. Point a client at it:")
    tell.say(f"  export OPENROUTER_BASE_URL={url}/api/v1")
    tell.say(f"  export OPENROUTER_API_KEY={DEFAULT_KEY}")
    tell.say(
        "What it can do wrong: byte simulate --list-faults. What it saw: " + f"{url}/sim/journal", dim=True
    )
