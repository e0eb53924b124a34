"""What of a request bounds what it can cost: how long its answers may be, what else is billed, and the dearest price.

A bound that cannot be read bounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec.structs import replace

from ..types import Ask, Candidate, Model, Plan, Price

CAPS = ("max_tokens", "max_completion_tokens")
"""The fields that bound an answer's length."""
_MILLION = 1_000_000
_A_NUMBER = (int, float, type(None))
_TIERS = (None, "default", "flex")
"""Service tiers that cost no more than the price list says."""


def caps(fields: Mapping[str, Any]) -> list[Any]:
    """What is said of an answer's length, under either name; null says nothing."""
    return [cap for name in CAPS if (cap := fields.get(name)) is not None]


def is_whole(value: object) -> bool:
    """Whether it bounds anything: what an upstream makes of 100.0, "100" or true, it knows itself."""
    return type(value) is int


def answers(ask: Ask, plan: Plan) -> int:
    """How many answers are paid for: of several the first one is read."""
    wanted = ask.params.get("n", plan.defaults.get("n"))
    if wanted is None:
        return 1
    # What is not finite is null in JSON, and so is what is not there.
    return max(1, math.ceil(wanted)) if isinstance(wanted, (int, float)) and math.isfinite(wanted) else 1


def is_bounded(ask: Ask, plan: Plan, candidate: Candidate) -> bool:
    """Whether bytes and tokens bound what this costs: searches, plugins, linked files, pictures that are made and
    dearer service tiers have prices of their own, and what is no number bounds nothing."""
    # A preset may hold tools and plugins of its own.
    if ":online" in candidate.model or "@preset/" in candidate.model:
        return False
    if (ask.params or plan.defaults) and not _are_bounded({**plan.defaults, **ask.params}):
        return False
    for message in ask.messages:
        content = message.get("content")
        if not isinstance(content, str) and _has_files(content):
            return False
    return True


def _are_bounded(wished: Mapping[str, Any]) -> bool:
    """Whether no field asks for what has a price of its own; no fields ask for nothing."""
    if not all(map(is_whole, caps(wished))) or not isinstance(wished.get("n"), _A_NUMBER):
        return False
    if wished.get("plugins") or "web_search_options" in wished or wished.get("preset"):
        return False
    if wished.get("modalities", ["text"]) != ["text"] or wished.get("service_tier") not in _TIERS:
        return False
    if not isinstance(wished.get("provider") or {}, dict):
        return False  # nothing can be added to it, so no price is sent along
    tools = wished.get("tools") or ()
    return isinstance(tools, list | tuple) and all(map(_is_function, tools))


def _is_function(tool: object) -> bool:
    """Whether it is the caller's own, and not one that the upstream runs."""
    return isinstance(tool, dict) and tool.get("type") == "function"


def priced(ask: Ask, candidate: Candidate) -> Model | None:
    """What is known of a candidate; where no price is, with the dearest one that the caller allows. None: nothing."""
    info = candidate.info
    if info is not None and info.price is not None:
        return info
    allowed = _allowed(ask.params.get("provider"))
    if allowed is None:
        return info
    return replace(info or Model(id=candidate.model, name=candidate.name), price=allowed, price_rules=())


def _allowed(provider: object) -> Price | None:
    """A caller's own `max_price` where it bounds prompt and answer; what it does not say of a fee allows none."""
    theirs = provider.get("max_price") if isinstance(provider, Mapping) else None
    if not isinstance(theirs, Mapping):
        return None
    prompt, completion = _usd(theirs.get("prompt")), _usd(theirs.get("completion"))
    fee = _usd(theirs.get("request", 0))
    if prompt is None or completion is None or fee is None:
        return None
    return Price(prompt=prompt / _MILLION, completion=completion / _MILLION, request=fee)


def _usd(said: object) -> Decimal | None:
    """An amount as a caller may write it; None where it is none."""
    try:
        amount = Decimal(str(said))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _has_files(content: object) -> bool:
    """Whether a message's parts hold anything but text: pictures, sounds, films and files are priced by themselves."""
    parts = content if isinstance(content, (list, tuple)) else ()
    return any(not isinstance(part, dict) or part.get("type") != "text" for part in parts)


def with_ceiling(body: dict[str, Any], candidate: Candidate) -> dict[str, Any]:
    """Under a bound on cost the price we reckoned with is made the dearest one allowed (promise P5)."""
    price = candidate.info.price if candidate.info else None
    provider = body.get("provider") or {}
    if candidate.route == "local" or not isinstance(provider, dict):  # what is none is refused (`is_bounded`)
        return body
    theirs = provider.get("max_price")
    ceiling = dict(theirs) if isinstance(theirs, dict) else {}
    if price is None:
        return {**body, "provider": {**provider, "max_price": {"request": 0, **ceiling}}} if ceiling else body
    # The catalogue's prices are per token, this field's are per million (wire reference 3.5).
    for name, usd in (("prompt", price.prompt), ("completion", price.completion)):
        if usd is not None:
            ceiling[name] = _lower(ceiling.get(name), usd * _MILLION)
    ceiling["request"] = _lower(ceiling.get("request"), price.request or Decimal(0))
    return {**body, "provider": {**provider, "max_price": ceiling}}


def _lower(theirs: object, ours: Decimal) -> Decimal:
    """The caller's own ceiling where it is the lower one."""
    said = None if theirs is None else _usd(theirs)
    return ours if said is None else min(said, ours)
