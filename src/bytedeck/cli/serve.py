"""`byte serve`: the gateway, for every client that speaks OpenAI's, Anthropic's or OpenRouter's protocol."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..async_client import AsyncHub

_NEEDED = ("uvicorn", "httptools")
_MOST_PORTS = 65535
_MOST_WORKERS = 256
_MB = 1 << 20


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, _MOST_PORTS),
    default=4000,
    show_default=True,
    metavar="PORT",
    help="0: any free one.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="What running answers have when it is stopped.",
)
@click.option(
    "--max-body",
    type=click.FloatRange(min=0, min_open=True),
    default=32.0,
    show_default=True,
    metavar="MB",
    help="The largest request that is taken.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, _MOST_WORKERS),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that serve it together; more than there are cores help nobody.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    metavar="N",
    help="Requests that a worker answers at once.",
)
@click.option(
    "--max-waiting",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    metavar="N",
    help="Requests that wait for their turn beyond that; more are refused with 503.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Open connections of a worker; more are refused with 503.",
)
@click.option(
    "--max-bodies",
    type=click.FloatRange(min=0, min_open=True),
    default=256.0,
    show_default=True,
    metavar="MB",
    help="The bodies of all requests that a worker answers; more are refused with 503.",
)
@click.option(
    "--stall",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="What a client that reads nothing has; then its connection is closed.",
)
@click.option(
    "--log",
    type=click.Choice(["json", "text", "off"]),
    help="How each request is told on stderr: json, or text at a terminal, if nothing is said.",
)
@as_json("Print where it listens as JSON.")
def command(host: str, port: int, workers: int, log: str | None, json_: bool, **bounds: float) -> None:
    """Serve the gateway: task routing, fail-over and the ledger for the clients that you have.

    \b
      byte serve
      byte serve --port 8080

    It listens on this machine alone, unless there are keys. Point a client's base URL at it, and name a model as ever, or
    byte/<task>.
    """
    _check_installed()
    from msgspec import convert

    from ..gateway.app import Settings
    from ..gateway.server.serve import serve

    for name in ("max_body", "max_bodies"):
        bounds[name] = int(bounds[name] * _MB)
    log = log or ("text" if sys.stderr.isatty() else "json")
    settings = convert({**bounds, "hosts": (host,), "log": log}, Settings)
    serve(
        host,
        port,
        settings=settings,
        workers=workers,
        announce=lambda url, hub: _announce(url, hub, "out" if json_ else log),
    )


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"The gateway needs {' and '.join(missing)}. Install the extra: bytedeck[server], or scripts/setup server."
        )


def _announce(url: str, hub: AsyncHub, how: str) -> None:
    """Where it listens: to a program on stdout, as lines of the log, or to a person."""
    if how == "out":
        tell.out_json({"url": url, "base_url": f"{url}/v1"})
        return
    if how == "json":
        from ..gateway.watch.logs import line

        for sentence in hub.warnings:
            click.echo(line("warning", sentence), err=True)
        click.echo(line("info", f"The gateway listens at {url}.", url=url), err=True)
        return
    for sentence in hub.warnings:
        tell.warn(sentence)
    tell.say(f"The gateway listens at {url}. Point a client at it:")
    url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace(
        "//[::]:", "//[::1]:"
    )  # for clients on this machine
    has_keys = bool(hub.house.keys.load().callers)
    key = "sk-byte-…" if has_keys else "none"
    tell.say(f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}")
    tell.say(f"  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}")
    shown = " -H 'Authorization: Bearer sk-byte-…'" if has_keys else ""
    tell.say(f"  curl {url}/v1/chat/completions -H 'Content-Type: application/json'{shown} \\")
    tell.say("""    -d '{"model": "byte/auto", "messages": [{"role": "user", "content": "hi"}]}'""")
    if hub.house.config.api_key is None:
        tell.say("There is no OPENROUTER_API_KEY, so the model on this machine answers.", dim=True)
    tell.say("Ctrl-C ends it, once running answers are out.", dim=True)
