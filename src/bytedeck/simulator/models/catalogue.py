"""The models that the simulator serves, and those that it serves no more.

A slug goes in, the model that answers comes out, or OpenRouter's own refusal. Nothing here changes after loading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from ..refusals import named as refusals
from ..shapes import Model, Price, Refusal
from . import endpoints, listing, rss
from .facts import Facts, Rules, alias_row, model_of
from .prices import DYNAMIC, base_price, price_at

DEFAULT = "openrouter/auto"
"""Who answers where a request names no model: the account's default."""

DYNAMIC_VARIANTS = frozenset({"nitro", "floor", "exacto", "online"})
"""They say how to route, not which model: the entry is the one without them."""

# Why a row is gone -> the name of the refusal.
GONE: dict[str, str] = {
    "dead": "model_not_found",
    "no_endpoints": "no_endpoints",
    "deprecated": "model_deprecated",
    "free_ended": "free_variant_ended",
}


class Slug(msgspec.Struct, frozen=True):
    """`[~]author/slug[:variant…][@preset/name]`, taken apart."""

    base: str
    variants: tuple[str, ...]
    preset: str

    @property
    def entry(self) -> str:
        """The id that the catalogue may have: static variants stay, dynamic ones go."""
        static = [variant for variant in self.variants if variant not in DYNAMIC_VARIANTS]
        return ":".join((self.base, *static))


def split(slug: str) -> Slug:
    """A slug's parts. `@preset/x` alone has no base."""
    name, _, preset = slug.partition("@preset/")
    base, *variants = name.split(":")
    return Slug(base, tuple(variants), preset)


def unavailable(slug: str, why: str, *, name: str = "", successor: str = "") -> Refusal:
    """OpenRouter's refusal of a model that it does not serve; `why` is a key of GONE."""
    values: dict[str, Any] = {"model": slug, "fallback_models": [successor] if successor else None}
    if why == "deprecated" and successor:
        values["advice"] = f"Use {successor} instead."
    if why == "free_ended":
        values["message"] = (
            f"The free {name or slug} period has ended. To continue using this model, "
            f"please migrate to the paid slug: {successor}"
        )
    return refusals.make(GONE[why], **values)


class Catalogue:
    """All rows, by every name that leads to them."""

    def __init__(
        self, models: Iterable[Model], facts: Mapping[str, Facts], providers: list[dict[str, Any]]
    ) -> None:
        self.models = tuple(models)
        """In the file's order, the gone ones too."""
        self.providers = providers
        """The objects of `/providers`."""
        self._facts = dict(facts)
        self._rows = {model.id: model for model in self.models}
        self._names = {name: model.id for model in self.models for name in self._other_names(model)}
        self._prices: dict[str, Price] = {}

    def _other_names(self, model: Model) -> list[str]:
        names = list(self.facts(model).aliases)
        if not (model.alias_target or ":" in model.id or model.canonical == model.id):
            names.append(model.canonical)
        return names

    def facts(self, model: Model) -> Facts:
        """What the simulator knows besides."""
        return self._facts.get(model.id) or Facts(providers=model.providers)

    def find(self, slug: str, now: float | None = None) -> Model:
        """The model that answers for a slug.

        Aliases lead to their concrete model; routers stay (see `routed`). Refusal 400 for an unknown id,
        404 for one that is served no more, `now` being after its `expiration_date` included.
        """
        parts = split(slug)
        if not parts.base and parts.preset:
            return self._rows[DEFAULT]
        row = self._row(parts)
        if row is None:
            raise self._missing(slug, parts)
        if row.alias_target:
            return self.find(row.alias_target, now)
        if row.gone:
            raise unavailable(slug, row.gone, name=row.name, successor=row.successor)
        if now is not None and listing.expired(row, now):
            raise unavailable(slug, "deprecated", name=row.name, successor=row.successor)
        return row

    def _row(self, parts: Slug) -> Model | None:
        entry = parts.entry
        row = self._rows.get(entry) or self._rows.get(self._names.get(entry, ""))
        if row is not None or "thinking" not in parts.variants:
            return row
        # `:thinking` without an entry of its own: the model itself, if it reasons. Anthropic's ended.
        plain = Slug(parts.base, tuple(v for v in parts.variants if v != "thinking"), parts.preset)
        row = self._row(plain)
        return row if row is not None and row.reasoning and not row.id.startswith("anthropic/") else None

    def _missing(self, slug: str, parts: Slug) -> Refusal:
        known = self._rows.get(parts.base) or self._rows.get(self._names.get(parts.base, ""))
        if known is None or known.gone == "dead":
            return unavailable(slug, "dead", successor=known.successor if known else "")
        return unavailable(slug, "no_endpoints", successor=known.successor or known.id)

    def routed(self, model: Model, seed: str, needs: frozenset[str] = frozenset()) -> Model:
        """Who answers for a router (`openrouter/auto`, `…/free`): same seed, same model. Others: themselves.

        `needs` holds input modalities and parameters that the request uses. 404 if that leaves nothing.
        """
        routes = self.facts(model).routes
        if not routes:
            return model
        able = [self._rows[name] for name in routes if name in self._rows]
        able = [row for row in able if needs <= row.parameters | row.input_modalities]
        if not able:
            raise unavailable(model.id, "no_endpoints")
        number = int.from_bytes(hashlib.sha256(f"{seed}\n{model.id}".encode()).digest()[:8])
        return able[number % len(able)]

    def permitted(self, model: Model, rules: Rules) -> bool:
        """Whether an account's rules leave the model any endpoint."""
        facts = self.facts(model)
        return (
            (not rules.models or any(fnmatchcase(model.id, pattern) for pattern in rules.models))
            and not rules.ignored_providers.issuperset(model.providers)
            and (not rules.zdr or facts.zdr)
            and (not rules.region or rules.region in facts.regions)
        )

    def permit(self, model: Model, rules: Rules) -> None:
        """404 privacy_restricted, 403 region_restricted or 404 constraint_filtered if the rules leave nothing."""
        if self.permitted(model, rules):
            return
        facts = self.facts(model)
        if rules.region and rules.region not in facts.regions:
            raise refusals.make("region_restricted", model=model.id, excluded_by=["data_region"])
        if rules.zdr and not facts.zdr:
            raise refusals.make("privacy_restricted", model=model.id)
        raise refusals.make(
            "constraint_filtered",
            model=model.id,
            excluded_by=["allowed_providers"],
            constraint_field=None,
            constraint_detail="a guardrail leaves no endpoint of it.",
        )

    def price(self, model: Model, prompt_tokens: int, now: float) -> Price:
        """USD per token for a prompt of this size at this moment; the list's overrides applied."""
        base = self._prices.get(model.id)
        if base is None:
            base = self._prices[model.id] = base_price(model.shown["pricing"])
        overrides = model.shown["pricing"].get("overrides")
        return price_at(base, overrides, prompt_tokens, now) if overrides and base is not DYNAMIC else base

    def tier(self, model: Model, asked: str | None) -> tuple[str | None, Decimal]:
        """The service tier really served, and the factor on the price. `fast` is `priority`."""
        if asked in (None, "auto"):
            return None, Decimal(1)
        wanted = "priority" if asked == "fast" else str(asked)
        factor = self.facts(model).tiers.get(wanted)
        return (wanted, Decimal(factor)) if factor else ("default", Decimal(1))

    def listing(self, query: Mapping[str, str], now: float) -> dict[str, Any]:
        """The answer of GET /models; 400 for a filter's unknown value."""
        return listing.page(listing.select(self, query, now), query, "/api/v1/models")

    def feed(self, query: Mapping[str, str], now: float) -> str:
        """The same list where `use_rss` is "true": application/rss+xml."""
        return rss.feed(
            listing.select(self, query, now), chat_links=query.get("use_rss_chat_links") == "true"
        )

    def user(self, query: Mapping[str, str], now: float, rules: Rules) -> dict[str, Any]:
        """The answer of GET /models/user: what the account's rules leave, and the simulator's own models.

        Clients check by this list whether a key may use a name; one that does could not choose `sim/…` else.
        """
        found = listing.select(self, query, now, unlisted=True)
        rows = [row for row in found if self.permitted(row, rules)]
        return listing.page(rows, query, "/api/v1/models/user")

    def count(self, query: Mapping[str, str], now: float = 0.0) -> dict[str, Any]:
        """The answer of GET /models/count."""
        return {"data": {"count": len(listing.select(self, query, now))}}

    def one(self, slug: str, now: float) -> dict[str, Any]:
        """The answer of GET /model/{author}/{slug}; aliases and variants resolved, 404 otherwise."""
        return {"data": self._served(slug, now).shown}

    def endpoints(self, slug: str, now: float, authorised: bool) -> dict[str, Any]:
        """The answer of GET /models/{author}/{slug}/endpoints; statistics only for who shows a key."""
        model = self._served(slug, now)
        return {"data": endpoints.of(model, self.facts(model), self.providers, authorised)}

    def _served(self, slug: str, now: float) -> Model:
        try:
            return self.find(slug, now)
        except Refusal as refusal:
            raise refusals.make("not_found", message="Model not found") from refusal


def load(extra: Iterable[Model] = ()) -> Catalogue:
    """The built-in catalogue, and models of one's own after it."""
    data = Path(__file__).parents[1] / "data"
    rows = msgspec.json.decode((data / "models.json").read_bytes())
    providers = msgspec.json.decode((data / "providers.json").read_bytes())
    by_id = {row["id"]: row for row in rows}
    facts: dict[str, Facts] = {}
    models: list[Model] = []
    for row in rows:
        target = by_id[row["alias_target"]["slug"]] if "alias_target" in row else row
        shown = alias_row(row, target) if target is not row else {k: v for k, v in row.items() if k != "sim"}
        facts[row["id"]] = msgspec.convert(target["sim"] | {"aliases": row["sim"].get("aliases", [])}, Facts)
        models.append(model_of(shown, facts[row["id"]]))
    return Catalogue([*models, *extra], facts, providers)
