"""One inference as it was charged: what the ledger lists and what GET /generation tells. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ..shapes import Bill, Counts, Model, Price, Skin
from .digits import plain

API_TYPES: dict[str, str] = {"embeddings": "embeddings", "rerank": "rerank"}


class Generation(Struct, frozen=True, kw_only=True):
    """What is known when an inference has ended, however it ended."""

    id: str
    model: Model
    """The concrete one."""
    asked: str = ""
    """The slug as it was sent."""
    provider: str
    skin: Skin
    counts: Counts
    bill: Bill
    created: float
    ended: float
    first_token: float | None = None
    """When the first token left."""
    streamed: bool = False
    cancelled: bool = False
    outcome: str = "whole"
    """For the ledger: whole, cancelled, error, hit, or the caller's own word."""
    finish_reason: str | None = "stop"
    native_finish_reason: str | None = "stop"
    service_tier: str | None = None
    cache_discount: Decimal | None = None
    router: str | None = None
    source_id: str | None = None
    """Of a response-cache hit: the generation that filled the entry."""
    request_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    user_agent: str | None = None
    referer: str | None = None
    preset: str | None = None
    region: str = "global"
    attempts: tuple[tuple[str, int], ...] = ()
    """Provider and status of each attempt; empty: the provider at once with 200."""


def discount(counts: Counts, price: Price) -> Decimal | None:
    """What caching saved (or, by its writes, cost); None where no cache was at work."""
    if not counts.cached and not counts.cache_write:
        return None
    read = price.prompt if price.input_cache_read is None else price.input_cache_read
    return counts.cached * (price.prompt - read) - (
        cache_write_cost(counts, price) - counts.cache_write * price.prompt
    )


def cache_write_cost(counts: Counts, price: Price) -> Decimal:
    """What writing to the prompt cache costs: tokens kept for five minutes, and for an hour."""
    short = price.prompt if price.input_cache_write is None else price.input_cache_write
    long = short if price.input_cache_write_1h is None else price.input_cache_write_1h
    return (counts.cache_write - counts.cache_write_1h) * short + counts.cache_write_1h * long


def _milliseconds(start: float, end: float | None) -> float | None:
    return None if end is None else round(max(0.0, end - start) * 1000, 3)


def _responses(item: Generation) -> list[dict[str, Any]]:
    latency = _milliseconds(item.created, item.first_token or item.ended)
    return [
        {
            "id": f"upstream-{item.id}-{number}",
            "endpoint_id": f"{item.model.canonical}:{provider}",
            "model_permaslug": item.model.canonical,
            "provider_name": provider,
            "status": status,
            "latency": latency,
            "is_byok": item.bill.is_byok,
        }
        for number, (provider, status) in enumerate(item.attempts or ((item.provider, 200),))
    ]


def record(item: Generation) -> dict[str, Any]:
    """The `data` of GET /generation; times in milliseconds, money as Decimals."""
    counts, bill = item.counts, item.bill
    return {
        "id": item.id,
        "request_id": item.request_id,
        "upstream_id": f"upstream-{item.id}",
        "api_type": API_TYPES.get(item.skin, "completions"),
        "created_at": datetime.fromtimestamp(item.created, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "model": item.model.canonical,
        "provider_name": item.provider,
        "provider_responses": _responses(item) if item.source_id is None else [],
        "router": item.router,
        "streamed": item.streamed,
        "cancelled": item.cancelled,
        "finish_reason": item.finish_reason,
        "native_finish_reason": item.native_finish_reason,
        "service_tier": item.service_tier,
        "total_cost": bill.cost,
        "usage": bill.cost,
        "upstream_inference_cost": bill.upstream if bill.is_byok else None,
        "cache_discount": item.cache_discount,
        "is_byok": bill.is_byok,
        "latency": _milliseconds(item.created, item.first_token or item.ended),
        "generation_time": _milliseconds(item.first_token or item.created, item.ended),
        "moderation_latency": 12.0 if item.model.is_moderated else None,
        **_tokens(counts),
        "num_search_results": 5 * counts.web_searches or None,
        "num_fetches": None,
        "web_search_engine": "exa" if counts.web_searches else None,
        "origin": item.referer or "",
        "http_referer": item.referer,
        "user_agent": item.user_agent,
        "external_user": item.user,
        "session_id": item.session_id,
        "app_id": None,
        "preset_id": item.preset,
        "data_region": item.region,
        "workspace_id": None,
        "response_cache_source_id": item.source_id,
    }


def _tokens(counts: Counts) -> dict[str, Any]:
    return {
        "tokens_prompt": counts.prompt,
        "tokens_completion": counts.completion,
        "native_tokens_prompt": counts.prompt,
        "native_tokens_completion": counts.completion,
        "native_tokens_completion_images": counts.images,
        "native_tokens_reasoning": counts.reasoning,
        "native_tokens_cached": counts.cached,
        "num_media_prompt": counts.input_images or None,
        "num_input_audio_prompt": None,
        "num_media_completion": None,
    }


def line(item: Generation, key: str, label: str) -> dict[str, Any]:
    """One row of the ledger; amounts as decimal text, so that whoever compares loses nothing."""
    counts, bill = item.counts, item.bill
    return {
        "id": item.id,
        "key": key,
        "label": label,
        "asked": item.asked or item.model.id,
        "model": item.model.id,
        "provider": item.provider,
        "cost": plain(bill.cost),
        "upstream": plain(bill.upstream),
        "is_byok": bill.is_byok,
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "reasoning_tokens": counts.reasoning,
        "cached_tokens": counts.cached,
        "cache_write_tokens": counts.cache_write,
        "image_tokens": counts.images,
        "web_searches": counts.web_searches,
        "service_tier": item.service_tier,
        "finish_reason": item.finish_reason,
        "cancelled": item.cancelled,
        "outcome": item.outcome,
        "at": item.ended,
    }
