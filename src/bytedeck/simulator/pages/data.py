"""OpenRouter's pages of data: models, keys, money, generations. Each looks at the world and changes little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ..checks import check
from ..money.accounts import Key
from ..request import Request
from ..shapes import Refusal
from ..words import language as words
from ..world import World
from . import account, market

_ACCOUNT = "sim"
"""Who consents at /auth."""


def _key(world: World, request: Request) -> Key:
    key = world.bank.key(request.authorization, request.now)
    request.entry.key = key.name
    return key


def _slug(request: Request, before: str, after: str = "") -> str:
    return unquote(request.path).removeprefix(before).removesuffix(after)


def _models(world: World, request: Request) -> Any:
    if request.query.get("use_rss") == "true":
        return world.catalogue.feed(request.query, request.now)
    return world.catalogue.listing(request.query, request.now)


def _embedding_models(world: World, request: Request) -> Any:
    return world.catalogue.listing({**request.query, "output_modalities": "embeddings"}, request.now)


def _models_user(world: World, request: Request) -> Any:
    rules = world.bank.rules(_key(world, request))
    return world.catalogue.user(request.query, request.now, rules)


def _count(world: World, request: Request) -> Any:
    return world.catalogue.count(request.query, request.now)


def _model(world: World, request: Request) -> Any:
    return world.catalogue.one(_slug(request, "/model/"), request.now)


def _endpoints(world: World, request: Request) -> Any:
    try:
        _key(world, request)
        authorised = True
    except Refusal:
        authorised = False
    return world.catalogue.endpoints(_slug(request, "/models/", "/endpoints"), request.now, authorised)


def _own_key(world: World, request: Request) -> Any:
    return account.key(world.bank, world.limits, _key(world, request), request.now)


def _credits(world: World, request: Request) -> Any:
    return account.credits(world.bank, _key(world, request))


def _generation(world: World, request: Request) -> Any:
    return account.generation(world.bank, _key(world, request), request.query.get("id"), request.now)


def _providers(world: World, request: Request) -> Any:
    return {"data": world.catalogue.providers}


def _counted(world: World, request: Request) -> None:
    """The data sets need a key, and have limits of their own."""
    key = _key(world, request)
    world.limits.admit_data(key.token, world.bank.account(key), request.now)


def _classifications(world: World, request: Request) -> Any:
    _counted(world, request)
    return market.classifications(world.catalogue, request.query, request.now)


def _benchmarks(world: World, request: Request) -> Any:
    _counted(world, request)
    return market.benchmarks(world.catalogue, request.query, request.now)


def _exchange(world: World, request: Request) -> Any:
    return world.codes.exchange(check.body("auth/keys", request.raw), request.now)


def _tokens(world: World, request: Request) -> Any:
    _key(world, request)
    call = check.count_tokens(request.raw, request.headers)
    for slug in call.models[:1]:
        world.catalogue.find(slug, request.now)
    return {"input_tokens": words.prompt_tokens(call.messages, call.tools)}


def consent(world: World, request: Request) -> str:
    """What a person's consent at `/auth` hands out: a code."""
    query = request.query
    return world.codes.issue(
        request.now,
        account=_ACCOUNT,
        challenge=query.get("code_challenge", ""),
        method=query.get("code_challenge_method", ""),
        label=query.get("key_label", ""),
    )


PAGES: tuple[tuple[str, str, Callable[[World, Request], Any]], ...] = (
    ("GET", "/models", _models),
    ("GET", "/embeddings/models", _embedding_models),
    ("GET", "/models/user", _models_user),
    ("GET", "/models/count", _count),
    ("GET", "/model/[^/]+/[^/]+", _model),
    ("GET", "/models/[^/]+/[^/]+/endpoints", _endpoints),
    ("GET", "/key", _own_key),
    ("GET", "/auth/key", _own_key),
    ("GET", "/credits", _credits),
    ("GET", "/generation", _generation),
    ("GET", "/providers", _providers),
    ("GET", "/classifications/task", _classifications),
    ("GET", "/benchmarks", _benchmarks),
    ("POST", "/auth/keys", _exchange),
    ("POST", "/messages/count_tokens", _tokens),
)
"""Method, pattern of the path, page."""
