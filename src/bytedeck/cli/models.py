"""`byte models`: the catalogue, with prices per million tokens; and how the models are doing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from . import tell
from .health import health
from .options import as_json

if TYPE_CHECKING:
    from ..route.catalog import Catalog
    from ..types import Model

_MILLION = 1_000_000


class Search(click.Group):
    """Words that are no command are looked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        word = next(iter(args), "")
        is_known = word in self.commands or word in ctx.help_option_names
        return super().parse_args(ctx, args if is_known or ctx.resilient_parsing else ["list", *args])


@click.group("models", cls=Search, subcommand_metavar="[WORD | COMMAND]...")
def command() -> None:
    """List the catalogue of models, or tell how they are doing.

    What is not one of the commands below is looked for: byte models claude sonnet.
    """


command.add_command(health)


@command.command("list")
@click.argument("search", nargs=-1, metavar="[WORD]...")
@click.option("--refresh", is_flag=True, help="Fetch the catalogue anew.")
@as_json()
def list_(search: tuple[str, ...], refresh: bool, json_: bool) -> None:
    """List the catalogue of models with their prices.

    With words, only the models whose id or name holds all of them.
    """
    words = [word.lower() for word in search]
    catalog = _catalog(refresh)
    found = [one for one in catalog.models if all(word in f"{one.id} {one.name}".lower() for word in words)]
    if json_:
        tell.out_json([_as_json(one) for one in found])
    elif found:
        rows = [(one.id, one.name, _size(one), *map(_per_million, _prices(one))) for one in found]
        heads = ("MODEL", "NAME", "CONTEXT", "$ IN", "$ OUT")
        tell.out(tell.table([heads, *rows], right=(2, 3, 4)))
        tell.say(
            f"{len(found):,} of {len(catalog.models):,} models. Prices are USD per million tokens.", dim=True
        )
    else:
        near = catalog.nearest(" ".join(search))
        tell.say("No model holds these words." + (f" Did you mean: {', '.join(near)}?" if near else ""))


def _catalog(refresh: bool) -> Catalog:
    """What is at hand; fetched where there is none or a new one is wanted. Raises ConnectionFailed."""
    from ..client import Hub
    from ..errors import ConnectionFailed

    with Hub() as hub:
        models = hub.house.models
        catalog = None if refresh else models.current()
        if catalog is None:
            tell.say(f"Fetching the catalogue from {hub.house.config.base_url} …", dim=True)
            catalog = models.fetch(hub.wire)
    if catalog is None:
        raise ConnectionFailed(
            "The catalogue is not here yet, and could not be fetched." if not refresh else
            "The catalogue could not be fetched.",
            hint=("Check your network connection, and try again: byte models --refresh",),
        )  # fmt: skip
    return catalog


def _prices(model: Model) -> tuple[Decimal | None, Decimal | None]:
    return (model.price.prompt, model.price.completion) if model.price else (None, None)


def _per_million(price: Decimal | None) -> str:
    """USD per million tokens; "varies" where the catalogue has no fixed price."""
    if price is None:
        return "varies"
    return f"{(price * _MILLION).normalize():f}" if price else "free"


def _size(model: Model) -> str:
    return f"{model.context_length:,}" if model.context_length else "?"


def _as_json(model: Model) -> dict[str, Any]:
    prompt, completion = _prices(model)
    return {
        "model": model.id,
        "model_name": model.name,
        "context_length": model.context_length,
        "max_completion_tokens": model.max_completion_tokens,
        "prompt_per_million": None if prompt is None else f"{(prompt * _MILLION).normalize():f}",
        "completion_per_million": None if completion is None else f"{(completion * _MILLION).normalize():f}",
        "expiration_date": model.expiration_date,
    }
