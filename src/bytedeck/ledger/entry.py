"""The rows of an attempt: what is written of it, and when it is final.

Three marks, append-only: the intent before dispatch, `Opened` when the upstream gave the
generation a name, the settlement at the end. What the upstream says of its cost later, a
`Reconciliation`, outweighs the settlement. `Row` is what they say together. No row holds words of a
prompt or an answer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..money import spend, to_units, to_usd
from ..types import Intent, Quality, Settlement, Usage

State = Literal["settled", "awaiting", "open"]
"""`settled`: final. `awaiting`: settled without a cost, or with an estimate, and the generation's id can still tell it.
`open`: no settlement yet; the attempt runs, or its process died."""

LOST = "lost"
"""The outcome of an attempt whose process died: it says nothing of the model."""

_LOCAL = "local/"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = Usage()


class Opened(Struct, frozen=True):
    """The second mark: the upstream gave the generation a name."""

    attempt: str
    generation_id: str


class Reconciliation(Struct, frozen=True, kw_only=True):
    """What the upstream said of a settled attempt afterwards."""

    attempt: str
    cost_units: int | None
    """None: it was given up, so nobody asks again; what the settlement says holds."""
    cost_text: str = ""
    usage: Usage | None = None

    @property
    def quality(self) -> Quality:
        return "unknown" if self.cost_units is None else "reconciled"


class Swept(Struct, frozen=True):
    """Every attempt before this one, by the store's own number, has its settlement: the next sweep begins there."""

    before: int


class Awaiting(Struct, frozen=True, kw_only=True):
    """A settled attempt whose cost the generation's id can still tell."""

    attempt: str
    generation_id: str
    key: str
    """Label of the key that went upstream: who has another account's is told that there is no such generation."""
    settled_at: int
    """Microseconds since 1970."""
    place: int
    """Its number in the store's order."""


Mark: TypeAlias = Intent | Opened | Settlement | Reconciliation | Swept
"""What can be written of an attempt; and how far a sweep has come."""


class Wanted(Struct, frozen=True, kw_only=True):
    """Which attempts somebody wants to see: those that are equal in every field that is not ""."""

    key: str = ""
    task: str = ""
    model: str = ""
    """The one that was asked."""
    outcome: str = ""
    before: str = ""
    """Only those that began before this attempt did."""

    def fits(self, row: Row) -> bool:
        """Whether the row is wanted, wherever it stands."""
        said = (
            (self.key, row.key),
            (self.task, row.task),
            (self.model, row.model),
            (self.outcome, row.outcome),
        )
        return all(value in ("", found) for value, found in said)


ALL = Wanted()


class Row(Struct, frozen=True, kw_only=True):
    """One attempt, its marks joined."""

    attempt: str
    request: str
    number: int
    at: datetime
    """When its intent was handed over (UTC, by the store's clock)."""
    task: str
    model: str
    """The model that was asked."""
    key: str
    """Label of the key that asked: a virtual key's name, or what `upstream_key` is else."""
    streamed: bool
    worst_units: int | None
    owner: str
    """The process that runs it (`io/owner.py`)."""
    settled_at: datetime | None = None
    reconciled_at: datetime | None = None
    """When the upstream was asked for its cost, and told it or was given up."""
    outcome: str = ""
    """`answered`, or a fault's code; "" while it is open."""
    quality: Quality = "unknown"
    answered: str = ""
    """The model that answered, as the provider names it."""
    provider: str = ""
    generation_id: str = ""
    finish_reason: str = ""
    error: str = ""
    cost_units: int | None = None
    """Charged to the account; None: not known (yet)."""
    cost_text: str = ""
    """The provider's own decimal text of it."""
    upstream_units: int | None = None
    is_byok: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    web_searches: int = 0
    first_token: float | None = None
    seconds: float = 0.0
    upstream_key: str = ""
    """Label of the key that went upstream; "": `key`."""

    @property
    def state(self) -> State:
        """Whether the row is final."""
        if self.settled_at is None:
            return "open"
        is_sure = self.cost_units is not None and self.quality != "estimated"
        is_final = is_sure or self.reconciled_at is not None or not self.generation_id
        return "settled" if is_final else "awaiting"

    @property
    def spend_units(self) -> int | None:
        """The charge, and the provider's bill where the key was one's own; None: not known (yet)."""
        return spend(self.cost_units, self.upstream_units, self.is_byok)

    @property
    def cost(self) -> Decimal | None:
        """`spend_units` in USD."""
        return None if self.spend_units is None else to_usd(self.spend_units)


def spend_units(cost_units: int | None, usage: Usage | None) -> int | None:
    """The charge, and the provider's bill where the key was one's own, in units; None: not known (yet)."""
    return cost_units if usage is None else spend(cost_units, usage.upstream_units, usage.is_byok)


def used_tokens(settlement: Settlement) -> int | None:
    """What an attempt that has ended used, for limits of tokens; None: not known."""
    if settlement.usage is not None and settlement.usage.total_tokens:
        return settlement.usage.total_tokens
    return 0 if settlement.cost_units == 0 and settlement.outcome != "answered" else None


def lost(attempt: str, model: str, generation_id: str) -> Settlement:
    """The settlement of an attempt whose process died.

    What it cost nobody knows, unless the generation's id tells it later; a model on this machine costs nothing.
    """
    is_local = model.startswith(_LOCAL)
    return Settlement(
        attempt=attempt,
        outcome=LOST,
        quality="reported" if is_local else "unknown",
        cost_units=0 if is_local else None,
        generation_id=generation_id,
        error=LOST,
    )


def as_told_later(settlement: Settlement) -> Reconciliation:
    """What the upstream told of an attempt that had been settled as lost by then."""
    return Reconciliation(
        attempt=settlement.attempt,
        cost_units=settlement.cost_units,
        cost_text=settlement.cost_text,
        usage=settlement.usage,
    )


def join(
    intent: Intent,
    at: int,
    owner: str,
    opened: Opened | None,
    settlement: Settlement | None,
    settled_at: int | None,
    found: Reconciliation | None = None,
    found_at: int | None = None,
) -> Row:
    """The marks of one attempt as one row. Times are microseconds since 1970, UTC."""
    row = Row(
        attempt=intent.attempt,
        request=intent.request,
        number=intent.number,
        at=moment(at),
        task=intent.task,
        model=intent.model,
        key=intent.key,
        streamed=intent.streamed,
        worst_units=intent.worst_units,
        upstream_key=intent.upstream_key,
        owner=owner,
        generation_id=opened.generation_id if opened else "",
    )
    if settlement is None or settled_at is None:
        return row
    row = _settled(row, settlement, settled_at)
    return row if found is None or found_at is None else _reconciled(row, found, found_at)


def _reconciled(row: Row, found: Reconciliation, found_at: int) -> Row:
    row = replace(row, reconciled_at=moment(found_at))
    if found.cost_units is None:
        return row
    usage = found.usage or _NOTHING
    return replace(
        row,
        quality=found.quality,
        cost_units=found.cost_units,
        cost_text=found.cost_text,
        upstream_units=usage.upstream_units,
        is_byok=usage.is_byok,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cached_tokens=usage.cached_tokens,
        # /generation does not tell them.
        cache_write_tokens=max(row.cache_write_tokens, usage.cache_write_tokens),
        reasoning_tokens=usage.reasoning_tokens,
    )


def _settled(row: Row, settlement: Settlement, settled_at: int) -> Row:
    usage = settlement.usage or _NOTHING
    return Row(
        attempt=row.attempt,
        request=row.request,
        number=row.number,
        at=row.at,
        task=row.task,
        model=row.model,
        key=row.key,
        streamed=row.streamed,
        worst_units=row.worst_units,
        upstream_key=row.upstream_key,
        owner=row.owner,
        settled_at=moment(settled_at),
        outcome=settlement.outcome,
        quality=settlement.quality,
        answered=settlement.model,
        provider=settlement.provider,
        generation_id=settlement.generation_id or row.generation_id,
        finish_reason=settlement.finish_reason,
        error=settlement.error,
        cost_units=settlement.cost_units,
        cost_text=settlement.cost_text,
        upstream_units=usage.upstream_units,
        is_byok=usage.is_byok,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        web_searches=usage.web_searches,
        first_token=None if settlement.first_token is None else seconds(micros(settlement.first_token)),
        seconds=seconds(micros(settlement.seconds)),
    )


def moment(microseconds: int) -> datetime:
    """Microseconds since 1970 → the moment, UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def instant(when: datetime) -> int:
    """A moment with its time zone → microseconds since 1970. Raises TypeError without a zone."""
    return (when - _EPOCH) // _MICROSECOND


def micros(duration: float) -> int:
    """Seconds → whole microseconds, as they are stored: no floats in the ledger."""
    return round(duration * 1_000_000)


def seconds(duration: int) -> float:
    """Stored microseconds → seconds."""
    return duration / 1_000_000


def cost_problem(attempt: str, cost_units: int | None, cost_text: str) -> str | None:
    """What is wrong with a stored cost, in one sentence; None: nothing.

    A cost is not negative, and where the provider's text is kept it is that text in units.
    """
    if cost_units is not None and cost_units < 0:
        return f"Attempt {attempt} has a negative cost: {cost_units} units."
    if not cost_text:
        return None
    try:
        told = to_units(cost_text)
    except ValueError:
        return f"Attempt {attempt} has a cost text that is no amount of money: {cost_text!r}."
    if told != cost_units:
        return f"Attempt {attempt} says {cost_units} units, its text {cost_text} is {told}."
    return None
