"""What a row of the catalogue file says: the object of `/models`, and beside it what only the simulator knows.

Pure: rows in, structs out. An alias row holds only what differs from its target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from ..shapes import Model

Caching = Literal["", "implicit", "written", "explicit"]


class Facts(Struct, frozen=True, kw_only=True):
    """The `sim` object of a row. Nothing of it is shown as such."""

    providers: tuple[str, ...] = ("FakeProvider",)
    prefill: bool = True
    needs_reasoning_details: bool = False
    signs_reasoning: bool = False
    reasoning_format: str = "unknown"
    native_stop: str = "stop"
    gone: str = ""
    successor: str = ""
    aliases: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    """Who answers for a router."""
    tiers: dict[str, str] = field(default_factory=dict)
    """Service tier to the factor on its price."""
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    zdr: bool = False
    distillable: bool = False
    quantization: str | None = None
    weekly_tokens: float = 0
    """Billions a week: popularity."""
    throughput: float = 50.0
    """Median tokens a second."""
    latency: float = 1000.0
    """Median milliseconds to the first token."""
    tool_success_rate: float | None = None
    dimensions: int = 0
    """Of an embedding."""


class Rules(Struct, frozen=True, kw_only=True):
    """What an account's preferences and guardrails leave of the catalogue. Empty: everything."""

    models: tuple[str, ...] = ()
    """Shell patterns (`anthropic/*`) of what is allowed."""
    ignored_providers: frozenset[str] = frozenset()
    zdr: bool = False
    region: str = ""
    """"eu" or "us": only models with endpoints there."""


def caching(model: Model) -> Caching:
    """How a model's prompts are cached: by `cache_control` only, by themselves with a price on writing, or for free."""
    pricing = model.shown["pricing"]
    if "input_cache_read" not in pricing:
        return ""
    if model.id.startswith("anthropic/"):
        return "explicit"
    return "written" if model.id.startswith("openai/") and "input_cache_write" in pricing else "implicit"


def model_of(shown: dict[str, Any], facts: Facts) -> Model:
    """The model that an object of `/models` describes."""
    top, architecture = shown["top_provider"], shown["architecture"]
    context = shown["context_length"] or top.get("context_length") or 0
    return Model(
        id=shown["id"],
        shown=shown,
        canonical=shown["canonical_slug"],
        name=shown["name"],
        context_length=context,
        max_completion_tokens=top.get("max_completion_tokens") or context,
        providers=facts.providers,
        parameters=frozenset(shown["supported_parameters"]),
        input_modalities=frozenset(architecture["input_modalities"]),
        output_modalities=frozenset(architecture["output_modalities"]),
        reasoning=shown.get("reasoning"),
        alias_target=shown.get("alias_target", {}).get("slug", ""),
        is_free=shown["id"].endswith(":free") or shown["id"] == "openrouter/free",
        accepts_prefill=facts.prefill,
        needs_reasoning_details=facts.needs_reasoning_details,
        signs_reasoning=facts.signs_reasoning,
        reasoning_format=facts.reasoning_format,
        native_stop=facts.native_stop,
        is_moderated=top["is_moderated"],
        zdr=facts.zdr,
        distillable=facts.distillable,
        quantization=facts.quantization or "unknown",
        gone=facts.gone,
        successor=facts.successor,
    )


def alias_row(row: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """An alias as `/models` shows it: its own name, its target's everything else, and `alias_target`."""
    own = {key: value for key, value in row.items() if key != "sim"}
    shown = {key: value for key, value in target.items() if key != "sim"}
    return {**shown, **own, "alias_target": {"slug": target["id"], "name": target["name"]}}
