"""`byte serve`: the gateway, for every client that speaks OpenAI's, Anthropic's or OpenRouter's protocol."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..client import AsyncHub

_NEEDED = ("uvicorn", "httptools")
_MOST_PORTS = 65535


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
@as_json("Print where it listens as JSON.")
def command(host: str, port: int, grace: float, max_body: float, json_: bool) -> None:
    """Serve the gateway: task routing, fail-over and the ledger for the clients that you have.

    \b
      byte serve
      byte serve --port 8080

    It listens on this machine alone. Point a client's base URL at it, and name a model as ever, or byte/<task>.
    """
    _check_installed()
    from ..gateway.app import Settings
    from ..gateway.serve import serve

    settings = Settings(grace=grace, max_body=int(max_body * (1 << 20)), hosts=(host,))
    serve(host, port, settings=settings, announce=lambda url, hub: _announce(url, hub, json_))


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"The gateway needs {' and '.join(missing)}. Install the extra: bytedeck[server], or scripts/setup server."
        )


def _announce(url: str, hub: AsyncHub, json_: bool) -> None:
    if json_:
        tell.out_json({"url": url, "base_url": f"{url}/v1"})
        return
    for sentence in hub.warnings:
        tell.warn(sentence)
    tell.say(f"The gateway listens at {url}. Point a client at it:")
    tell.say(f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=none")
    tell.say(f"  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=none")
    tell.say(f"  curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\")
    tell.say("""    -d '{"model": "byte/auto", "messages": [{"role": "user", "content": "hi"}]}'""")
    if hub.house.config.api_key is None:
        tell.say("There is no OPENROUTER_API_KEY, so the model on this machine answers.", dim=True)
    tell.say("Ctrl-C ends it, once running answers are out.", dim=True)
