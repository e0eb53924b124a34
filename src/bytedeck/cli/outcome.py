"""What became of a question: the exit code, the JSON object, and the line that tells what it took."""

from __future__ import annotations

from typing import Any

from ..errors import EXIT_LENGTH, TABLE, ByteError
from ..money import to_text
from ..types import Attempt, Reply, Usage


def _became(attempt: Attempt) -> str:
    return "slower" if attempt.outcome == "lost_race" else attempt.outcome.replace("_", " ")


def exit_code(reply: Reply) -> int:
    """0 for a whole answer only."""
    if reply.whole:
        return 0
    if reply.finish_reason == "length":
        return EXIT_LENGTH
    code = "content_filtered" if reply.finish_reason == "content_filter" else "truncated"
    return TABLE[code].exit_code


def as_json(reply: Reply, error: ByteError | None = None) -> dict[str, Any]:
    """The one object that `--json` prints. Amounts are decimal text in USD, or null where not known."""
    told: dict[str, Any] = {
        "text": reply.text,
        "model": reply.model,
        "model_name": reply.model_name,
        "task": reply.task,
        "usage": _usage(reply.usage) if reply.usage else None,
        "cost": _money(reply),
        "cost_known": reply.cost_known,
        "finish_reason": reply.finish_reason,
        "native_finish_reason": reply.native_finish_reason,
        "seams": _plain(reply.seams),
        "attempts": [_attempt(one) for one in reply.attempts],
        "id": reply.id,
        "generation_id": reply.generation_id,
        "provider": reply.provider,
        "requested_model": reply.requested_model,
        "why": reply.why,
        "notes": list(reply.notes),
        "first_token": reply.first_token,
        "seconds": reply.seconds,
    }
    for name in ("reasoning", "refusal", "tool_calls", "annotations", "images"):
        if found := getattr(reply, name):
            told[name] = _plain(found)
    if error is not None:
        told["error"] = _error(error)
    return told


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _error(error: ByteError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "detail": error.detail,
        "status": error.status,
        "retry_after": error.retry_after,
        "hint": list(error.hint),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "model": attempt.model,
        "outcome": attempt.outcome,
        "cost": None if attempt.cost_units is None else to_text(attempt.cost_units),
        "cost_known": attempt.quality,
        "generation_id": attempt.generation_id,
        "message": attempt.message,
        "status": attempt.status,
        "first_token": attempt.first_token,
        "seconds": attempt.seconds,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    spent = usage.spend_units
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "web_searches": usage.web_searches,
        "is_byok": usage.is_byok,
        "cost": None if spent is None else to_text(spent),
    }


def _money(reply: Reply) -> str | None:
    cost = reply.cost
    return None if cost is None else f"{cost:f}"


def took(reply: Reply) -> str:
    """`7 tokens in, 3 out · $0.000042 · first token after 0.41 s · 82 tokens/s · 1 attempt`."""
    parts = []
    if (usage := reply.usage) is not None:
        parts.append(f"{usage.prompt_tokens:,} tokens in{_of(usage)}, {usage.completion_tokens:,} out")
    cost = _money(reply)
    known = "" if reply.cost_known == "reported" else f" ({reply.cost_known})"
    parts.append("cost not known yet" if cost is None else f"${cost}{known}")
    if reply.first_token is not None:
        parts.append(f"first token after {reply.first_token:.2f} s")
    if (speed := reply.tokens_per_second) is not None:
        parts.append(f"{speed:.0f} tokens/s")
    count = len(reply.attempts)
    parts.append(f"{count} attempt" + ("" if count == 1 else "s"))
    return " · ".join(parts)


def _of(usage: Usage) -> str:
    return f" ({usage.cached_tokens:,} of them cached)" if usage.cached_tokens else ""


def answered_instead(reply: Reply, first: str) -> str:
    """One sentence where another model than the first one answered; "" where that is told already.

    A model that a limit or a budget kept back has no attempt: a warning says why.
    """
    failed = [
        one for one in reply.attempts if one.outcome != "answered" and one.model != reply.requested_model
    ]
    if reply.requested_model == first or reply.seams:
        return ""
    why = "; ".join(dict.fromkeys(f"{one.model}: {_became(one)}" for one in failed))
    return f"▸ {reply.model_name or reply.model} answered instead" + (f" ({why})" if why else "")
