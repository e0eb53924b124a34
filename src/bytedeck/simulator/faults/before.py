"""Faults before the first token: every refusal of OpenRouter's by its name, flapping, and providers that fail over."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from ..refusals import named as refusals
from ..shapes import Refusal
from .fault import Fault, Moment, Params

_BY_TYPE = {
    "context_length_exceeded": "D24",
    "authentication": "D14",
    "payment_required": "D16",
    "permission_denied": "D21",
    "not_found": "D22",
    "rate_limit_exceeded": "D11",
    "provider_overloaded": "D10, ERR-15",
    "provider_unavailable": "D10",
    "content_policy_violation": "D27",
    "refusal": "D27",
    "server": "D9",
    "unmapped": "D9",
    "timeout": "D8, ERR-15",
}
_BY_NAME = {
    "fewer_max_tokens": "D15, ERR-08",
    "prompt_unaffordable": "D16",
    "moderation": "D17, ERR-10",
    "guardrail": "D18, ERR-10",
    "guardrail_budget": "D19, ERR-10",
    "workspace_budget": "D19, ERR-10",
    "region_restricted": "D20, ERR-10",
    "model_not_found": "D22, ERR-12",
    "no_endpoints": "D22, ERR-13",
    "free_variant_ended": "D22",
    "unsupported": "D23, REQ-11",
    "constraint_filtered": "D23, ERR-11",
    "privacy_restricted": "D23, ERR-11",
    "mandatory_reasoning": "D26, ERR-14",
    "reasoning_details_missing": "D25",
    "signature_invalid": "D25",
    "prefill_refused": "D25b, MID-06",
    "too_many_models": "D29, REQ-02",
    "capacity_exhausted": "D11, RL-01",
    "provider_rate_limit": "D11, RL-06",
    "rate_limit": "D11",
    "free_per_minute": "D12, RL-04",
    "free_per_day": "D13, RL-03",
    "free_per_day_paid": "D13, RL-04",
}
_AHEAD = 40
"""Seconds from now that a Retry-After date names."""

_MOST_PROVIDERS = 100

_RETRY_AFTER = {"absurd": "86400000", "negative": "-5", "garbage": "soon"}
"""Ways to write the header that mean nothing good; `date` and numbers are made, anything else is sent as it is."""


def _row(name: str) -> Fault:
    """A refusal as a fault. `retry_after`: seconds, date, absurd, negative, garbage, or any text."""
    row = refusals.ROWS[name]
    known = _BY_NAME.get(name) or _BY_TYPE.get(row.error_type) or ("D10, ERR-04" if row.page else "D28")
    page = ", an HTML page of the edge" if row.page else ""
    said = refusals.make(name, model="the model", provider="the provider").message
    first = said[:1].upper() + said[1:].split(". ")[0].rstrip(". ")

    def refuse(params: Params, moment: Moment) -> Refusal:
        return _made(name, params["retry_after"], moment)

    return Fault(
        name=name,
        summary=f"{row.status}{page}: {first}.",
        rows=known,
        params={"retry_after": ""},
        refuse=refuse,
    )


def _made(name: str, retry_after: str, moment: Moment) -> Refusal:
    values: dict[str, Any] = {"model": moment.model, "provider": moment.provider}
    if retry_after.isdecimal():
        values["retry_after"] = int(retry_after)
    if "reset_ms" in refusals.ROWS[name].values:
        values["reset_ms"] = str(_reset_ms(name, moment.now))
    made = refusals.make(name, **values)
    if retry_after == "date":
        made.headers["Retry-After"] = formatdate(moment.now + _AHEAD, usegmt=True)
    elif retry_after:
        made.headers["Retry-After"] = _RETRY_AFTER.get(retry_after, retry_after)
    return made


def _reset_ms(name: str, now: float) -> int:
    """When the window that a platform's limit counts in ends: the minute's, or the UTC day's."""
    window = 86_400 if "day" in name else 60
    return (int(now) // window + 1) * window * 1000


def _flapping(params: Params, moment: Moment) -> Refusal | None:
    turn = params["down"] + params["up"]
    if turn <= 0 or (moment.now - moment.since) % turn >= params["down"]:
        return None
    return _made("temporarily_unavailable", "", moment)


ROWS = (
    *(_row(name) for name in refusals.NAMES),
    Fault(
        name="flapping",
        summary="503 for `down` seconds on the clock, then well for `up`, and again.",
        rows="D10",
        params={"down": 60.0, "up": 60.0},
        refuse=_flapping,
    ),
    Fault(
        name="failover",
        summary="So many providers fail with `status` before the next one answers; openrouter_metadata tells of them.",
        rows="MID-07, SSE-11",
        params={"count": 1, "status": 502},
        failures=lambda params: (params["status"],) * min(params["count"], _MOST_PROVIDERS),
    ),
)
