"""GET /models/…/endpoints: one object per provider and service tier of a model. Pure.

The figures follow from the names, so they are the same today and tomorrow.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from ..money.digits import plain
from ..shapes import Model
from .facts import Facts, caching

NATIVE_SEARCH = {
    "Anthropic": "web_search_20260209",
    "OpenAI": "web_search",
    "Google AI Studio": "google_search",
    "xAI": "web_search",
}
PRICES = (
    "prompt",
    "completion",
    "input_cache_read",
    "input_cache_write",
    "input_cache_write_1h",
    "internal_reasoning",
)


def of(model: Model, facts: Facts, providers: list[dict[str, Any]], authorised: bool) -> dict[str, Any]:
    """The `data` of the answer."""
    slugs = {provider["name"]: provider["slug"] for provider in providers}
    found = [
        _endpoint(model, facts, name, slugs.get(name, "fake-provider"), tier, authorised)
        for number, name in enumerate(model.providers)
        for tier in (("", *facts.tiers) if number == 0 else ("",))
    ]
    shown = model.shown
    return {
        "id": model.id,
        "name": model.name,
        "created": shown["created"],
        "description": shown.get("description", ""),
        "architecture": {"tokenizer": None, "instruct_type": None, **shown["architecture"]},
        "endpoints": found,
    }


def _endpoint(
    model: Model, facts: Facts, provider: str, slug: str, tier: str, authorised: bool
) -> dict[str, Any]:
    top = model.shown["top_provider"]
    tools = "tools" in model.parameters
    luck = _luck(f"{model.id} {provider} {tier}")
    speed = facts.throughput * (0.7 + 0.6 * luck) * (1.5 if tier == "priority" else 1)
    delay = facts.latency * (1.3 - 0.6 * luck) * (3 if tier == "flex" else 1)
    return {
        "name": f"{provider} | {model.canonical}" + (f" ({tier})" if tier else ""),
        "model_id": model.id,
        "model_name": model.name,
        "context_length": model.context_length,
        "pricing": _pricing(model.shown["pricing"], facts.tiers.get(tier, "1")),
        "provider_name": provider,
        "tag": f"{slug}/{tier}" if tier else slug,
        "quantization": facts.quantization or "unknown",
        "max_completion_tokens": top.get("max_completion_tokens"),
        "max_prompt_tokens": None,
        "supported_parameters": model.shown["supported_parameters"],
        "supports_implicit_caching": caching(model) in ("implicit", "written"),
        "supports_voice_cloning": False,
        "supports_diarization": False,
        "supports_tool_choice": {"auto": tools, "function": tools, "none": tools, "required": tools},
        "native_tools": _native(model, provider),
        "service_tier": tier or None,
        "status": 0,
        "uptime_last_5m": 100 if authorised else None,
        "uptime_last_30m": round(99 + luck, 3) if authorised else None,
        "uptime_last_1d": round(98.5 + 1.5 * luck, 3) if authorised else None,
        "latency_last_30m": _percentiles(delay, (1, 1.4, 2.1, 4.5)) if authorised else None,
        "throughput_last_30m": _percentiles(speed, (1, 1.2, 1.4, 1.7)) if authorised else None,
    }


def _native(model: Model, provider: str) -> dict[str, Any]:
    if provider not in NATIVE_SEARCH or "web_search" not in model.shown["pricing"]:
        return {}
    return {"openrouter:web_search": {"type": NATIVE_SEARCH[provider]}}


def _pricing(pricing: dict[str, Any], factor: str) -> dict[str, Any]:
    scaled = {
        name: plain(Decimal(text) * Decimal(factor)) if name in PRICES and factor != "1" else text
        for name, text in pricing.items()
        if name != "overrides" or factor == "1"
    }
    return {**scaled, "discount": 0}


def _percentiles(median: float, factors: tuple[float, float, float, float]) -> dict[str, float]:
    return {
        name: round(median * factor, 1)
        for name, factor in zip(("p50", "p75", "p90", "p99"), factors, strict=True)
    }


def _luck(name: str) -> float:
    """A number in [0, 1) that follows from the name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
