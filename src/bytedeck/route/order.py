"""What the health of models and keys changes in a chain: who is asked later, and who need not be asked. Pure.

Nobody is taken out for being ill: who names one model still gets it asked. Only where the key itself is refused,
OpenRouter is left alone for a while.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..errors import TABLE, error_from
from ..health import Health, Standing
from ..types import Candidate, Fault

# Somebody else is trying the key just now: it will be known soon.
_SOON = 1.0


def by_health(
    chain: Sequence[Candidate], health: Health, key: str, notes: list[str]
) -> tuple[Candidate, ...]:
    """The chain with those that fail behind those that do not, and what models have taught us of them.

    `key`: the label of the key that asks. Raises the key's own fault (AuthenticationFailed,
    InsufficientCredits, …) where the key is refused and no model of the chain does without it.
    """
    if not health.calm and (standing := health.key(key)).state != "closed":
        chain = _with_key(chain, standing, notes)
    if health.learnt:
        chain = [_taught(one, health) for one in chain]
    if health.calm:
        return tuple(chain)
    known = health.models
    later = [one for one in chain if one.model in known and known[one.model].is_avoided]
    if not later:
        return tuple(chain)
    first = [one for one in chain if one not in later]
    ordered = (*first, *later)
    if first:
        notes.extend(
            f"{one.model} is asked last: {_why(health.model(one.model))}."
            for place, one in enumerate(chain)
            if one in later and ordered.index(one) != place
        )
    return ordered


def _with_key(chain: Sequence[Candidate], standing: Standing, notes: list[str]) -> Sequence[Candidate]:
    """Those of the chain that may be asked with a key that is doing like this."""
    if standing.state == "half_open" and not standing.probing:
        return chain
    local = [one for one in chain if one.route == "local"]
    if len(local) == len(chain):
        return chain
    if not local:
        raise error_from(_refused(standing))
    notes.append(f"OpenRouter is not asked: {TABLE[standing.last_failure].sentence}")
    return local


def _refused(standing: Standing) -> Fault:
    """The fault of the last requests, told anew."""
    again = standing.again_in if standing.again_in is not None else _SOON
    return Fault(
        code=standing.last_failure,
        message=f"Nothing was sent: OpenRouter has said so to the last requests, {_ago(standing)}.",
        retry_after=again,
    )


def _why(standing: Standing) -> str:
    if standing.state == "half_open":
        return "it has failed, and another request is trying it now"
    code = standing.last_failure.replace("_", " ")
    if standing.state == "closed":
        return f"half or more of its attempts fail ({code}, {_ago(standing)})"
    if standing.failures > 1:
        return f"it failed {standing.failures} times in a row ({code}, {_ago(standing)})"
    return f"it failed ({code}, {_ago(standing)})"


def _ago(standing: Standing) -> str:
    seconds = round(standing.failed_ago or 0)
    return f"{seconds} s ago" if seconds < 120 else f"{round(seconds / 60)} min ago"


def _taught(candidate: Candidate, health: Health) -> Candidate:
    """The candidate with what it has refused before."""
    lessons = health.learnt.get(candidate.model)
    if not lessons:
        return candidate
    if "no_prefill" in lessons:
        candidate = replace(candidate, prefill=False)
    if "reasoning_mandatory" in lessons and candidate.info is not None:
        candidate = replace(candidate, info=replace(candidate.info, reasoning_mandatory=True))
    return candidate
