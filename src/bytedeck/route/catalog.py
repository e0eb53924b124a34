"""What each model costs, holds and can do: OpenRouter's `GET /models` (wire reference, section 9).

Lenient for each model: what cannot be read of one is not known of it, and never loses the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from ..config import nearest
from ..types import Model, Price, PriceRule
from .prices import dearest, estimate, price_at, worst_case

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Catalog", "dearest", "estimate", "parse", "price_at", "worst_case"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
# A thousand dollars for one token is a mistake in the list, not a price.
_ABSURD = Decimal(1000)


class Catalog(Struct, frozen=True, kw_only=True):
    """The models of one answer of `GET /models`."""

    models: tuple[Model, ...] = ()
    by_id: Mapping[str, Model] = {}
    by_slug: Mapping[str, Model] = {}
    """By permanent name (`canonical_slug`)."""
    skipped: int = 0
    """Entries of which not even the id could be read."""

    def find(self, model: str) -> Model | None:
        """The entry of an id, of a permanent name, or of the model whose variant or preset this is."""
        while True:
            found = self.by_id.get(model) or self.by_slug.get(model)
            if found is not None:
                return found
            cut = max(model.rfind(":"), model.rfind("@"))
            if cut <= 0:
                return None
            model = model[:cut]

    def nearest(self, model: str, most: int = 3) -> tuple[str, ...]:
        """The ids that look most like this one."""
        return nearest(model, self.by_id, most)

    def expiring(self, today: date, days: int = 30) -> tuple[Model, ...]:
        """The models that may be removed within so many days or should be gone already, soonest first."""
        from datetime import timedelta

        last = (today + timedelta(days=days)).isoformat()
        dated = [(model.expiration_date, model) for model in self.models if model.expiration_date]
        return tuple(model for when, model in sorted(dated, key=lambda one: one[0]) if when <= last)

    def fitting(self, tokens: int) -> tuple[Model, ...]:
        """The models that hold so many tokens, cheapest input first, unknown prices last."""
        holding = [one for one in self.models if one.context_length and one.context_length >= tokens]
        return tuple(sorted(holding, key=_cheapness))


def parse(data: bytes) -> Catalog:
    """The body of `GET /models` → Catalog. Raises ValueError where it is no list of models at all."""
    try:
        items = _decode_list(data).data
    except msgspec.MsgspecError as exc:
        raise ValueError(f"not a list of models: {exc}") from exc
    entries = [entry for item in items if (entry := _entry(item)) is not None]
    by_id = {model.id: model for model, _ in entries}
    for model, _ in entries:
        if model.alias_target and model.price is None:
            by_id[model.id] = _like_target(model, by_id.get(model.alias_target))
    by_slug: dict[str, Model] = {}
    for model, slug in entries:
        # A variant shares the slug of its model: the shorter id is the model itself.
        if slug and (slug not in by_slug or len(model.id) < len(by_slug[slug].id)):
            by_slug[slug] = by_id[model.id]
    return Catalog(
        models=tuple(by_id.values()), by_id=by_id, by_slug=by_slug, skipped=len(items) - len(entries)
    )


class _List(Struct):
    data: list[Raw]


class _Top(Struct):
    max_completion_tokens: int | None = None


class _Reasoning(Struct):
    mandatory: bool = False


class _Item(Struct):
    id: str
    name: str | None = None
    canonical_slug: str | None = None
    context_length: int | None = None
    top_provider: _Top | None = None
    pricing: Raw = Raw(b"null")
    supported_parameters: list[str] | None = None
    reasoning: _Reasoning | None = None
    expiration_date: str | None = None
    alias_target: Any = None


class _Bare(Struct):
    id: str


class _Prices(Struct):
    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    web_search: Decimal | None = None
    image: Decimal | None = None
    internal_reasoning: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None


class _Override(_Prices):
    min_prompt_tokens: float | None = None
    utc_start: float | None = None
    utc_end: float | None = None


class _Pricing(_Prices):
    # `discount` is left alone: a price that is too high by it is still a bound.
    overrides: list[_Override] = []


_decode_list = msgspec.json.Decoder(_List).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_bare = msgspec.json.Decoder(_Bare).decode
_decode_pricing = msgspec.json.Decoder(_Pricing).decode


def _entry(raw: Raw) -> tuple[Model, str] | None:
    """One entry and its permanent name; with the id alone where the rest is not as it should be."""
    try:
        item = _decode_item(raw)
    except msgspec.MsgspecError:
        try:
            item = _Item(id=_decode_bare(raw).id)
        except msgspec.MsgspecError:
            return None
    price, rules = _pricing(item.pricing)
    model = Model(
        id=item.id,
        name=item.name or item.id,
        context_length=item.context_length,
        max_completion_tokens=item.top_provider.max_completion_tokens if item.top_provider else None,
        price=price,
        price_rules=rules,
        supported_parameters=None
        if item.supported_parameters is None
        else frozenset(item.supported_parameters),
        reasoning_mandatory=item.reasoning is not None and item.reasoning.mandatory,
        expiration_date=_date(item.expiration_date),
        alias_target=_target(item.alias_target),
    )
    return model, item.canonical_slug or ""


def _pricing(raw: Raw) -> tuple[Price | None, tuple[PriceRule, ...]]:
    """The price and its exceptions. A part that cannot be read makes the whole unknown: half a price is a wrong one."""
    try:
        pricing = _decode_pricing(raw)
        price = _price(pricing)
        rules = tuple(_rule(one) for one in pricing.overrides)
    except (msgspec.MsgspecError, ValueError):
        return None, ()
    if price.prompt is None or price.completion is None:
        return None, ()
    return price, rules


def _price(prices: _Prices) -> Price:
    found = {key: value for key in Price.__struct_fields__ if (value := getattr(prices, key)) is not None}
    for value in found.values():
        # `-1` stands for a price that depends on what is chosen. NaN is not between anything.
        if not value.is_finite() or not 0 <= value <= _ABSURD:
            raise ValueError("not a fixed price")
    return Price(**found)


def _rule(override: _Override) -> PriceRule:
    above = override.min_prompt_tokens
    windowed = override.utc_start is not None or override.utc_end is not None
    return PriceRule(
        price=_price(override),
        above_prompt_tokens=None if above is None else int(above),
        utc_start=_clock(override.utc_start or 0) if windowed else None,
        utc_end=_clock(2400 if override.utc_end is None else override.utc_end) if windowed else None,
    )


def _clock(number: float) -> int:
    """HHMM as a number (1030) → minutes after midnight."""
    hours, minutes = divmod(int(number), 100)
    if not (0 <= hours <= 24 and minutes < 60):
        raise ValueError("not a time of day")
    return hours * 60 + minutes


def _date(text: str | None) -> str | None:
    found = _DATE.match(text) if text else None
    return found[0] if found else None


def _target(target: object) -> str | None:
    slug = target.get("slug") if isinstance(target, dict) else target
    return slug if isinstance(slug, str) and slug else None


def _like_target(alias: Model, target: Model | None) -> Model:
    """An alias without a price of its own costs and holds what the model behind it does."""
    if target is None:
        return alias
    return msgspec.structs.replace(
        alias,
        price=target.price,
        price_rules=target.price_rules,
        context_length=alias.context_length or target.context_length,
        max_completion_tokens=alias.max_completion_tokens or target.max_completion_tokens,
    )


def _cheapness(model: Model) -> tuple[bool, Decimal, str]:
    price = model.price.prompt if model.price else None
    return price is None, Decimal(0) if price is None else price, model.id
