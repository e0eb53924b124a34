"""The nouns that travel between the stages: frozen, plain, each defined once.

This file imports nothing of ours but `money`, `events` and `callers`. Dicts stop at the wire: what comes from
a provider or goes to one keeps its own shape only where passing it on untouched is the
promise (messages, tools, annotations, reasoning details). `gc=False` stands where each request
makes some and none can hold itself: the cycle collector has nothing to look for there.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

from .callers import Caller
from .events import Event, Seam
from .money import spend, to_usd

Message = Mapping[str, Any]
"""One chat message as the wire has it: `{"role": "user", "content": "…"}` and any other keys."""

Route = Literal["openrouter", "local"]
"""Which upstream serves a model."""

Quality = Literal["reported", "reconciled", "partial", "estimated", "unknown"]
"""How a row knows its cost."""


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds in seconds. All but `connect` and `headers` run on data events, not on bytes."""

    connect: float = 10.0
    headers: float = 60.0
    first_event: float = 60.0
    idle: float = 30.0
    total: float = 600.0


Failover = Literal["continue", "restart", "error"]
"""What happens when an answer breaks off after its first words: the next model goes on with them, or
starts anew with a declared `restart`, or the error is told."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How hard an answer is fought for. None: not said here, so what lies below holds."""

    failover: Failover | None = None
    hedge: bool | None = None
    """Whether the next model starts as well when the first word is later than the model's own p95."""
    compact: bool | None = None
    """Whether the oldest messages may be left out where a prompt is longer than every model's context."""
    stream_tools: bool | None = None
    """Whether tool calls are shown while they are written; if not, they come whole at the end."""

    def over(self, below: Policy) -> Policy:
        """This policy where it says something, the one below elsewhere."""
        if self == UNSAID:
            return below
        return Policy(
            failover=self.failover or below.failover,
            hedge=below.hedge if self.hedge is None else self.hedge,
            compact=below.compact if self.compact is None else self.compact,
            stream_tools=below.stream_tools if self.stream_tools is None else self.stream_tools,
        )


UNSAID = Policy()
"""All of what lies below holds."""


class Ask(Struct, frozen=True, kw_only=True):
    """What a caller wants, before anything is decided."""

    id: str
    """The request's id, 32 hex digits; attempt n is called `<id>-n`."""
    messages: tuple[Message, ...]
    task: str = ""
    """A task's name or alias; "" where the caller named none."""
    models: tuple[str, ...] = ()
    """The caller's chain, in order; empty where the task decides."""
    params: Mapping[str, Any] = {}
    """Every other field of the request, in the caller's order, known to us or not."""
    streamed: bool = False
    """Whether the caller sees the answer while it comes. If not, nothing is shown before it is whole."""
    listens: bool = False
    """Whether the caller is told what happens (waiting, the next model) also where it does not see the answer come."""
    key: str = ""
    """Label of the key that asks (never the key itself)."""
    upstream_key: str = ""
    """Label of the key that goes upstream; "": the same."""
    caller: Caller | None = None
    """Whose virtual key asks; its name is then `key`."""
    timeouts: Timeouts | None = None
    """Overrides the task's."""
    total_timeout: float | None = None
    """Seconds for the whole request; overrides only that bound."""
    max_cost_units: int | None = None
    """What all attempts together may cost at most, in units of 10⁻¹² USD."""
    headers: tuple[tuple[str, str], ...] = ()
    """Extra request headers, passed on."""
    policy: Policy = UNSAID
    """Overrides the key's, the task's and the general one."""
    can_erase: bool = True
    """Whether the caller can be told to take back words that it was shown (a `restart`). Without it, an
    answer that nobody can go on with ends in an error."""


class Price(Struct, frozen=True, kw_only=True, cache_hash=True):
    """USD per token (or per unit) as exact decimals; None where the catalogue has no fixed price."""

    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    web_search: Decimal | None = None
    image: Decimal | None = None
    internal_reasoning: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None


class PriceRule(Struct, frozen=True, kw_only=True):
    """A condition under which other prices hold: what it names replaces the base price, key by key."""

    price: Price
    above_prompt_tokens: int | None = None
    """It holds for prompts strictly longer than this; None: for any."""
    utc_start: int | None = None
    """Minutes after midnight, inclusive; with `utc_end`, exclusive, a daily window that may wrap."""
    utc_end: int | None = None


class Model(Struct, frozen=True, kw_only=True):
    """What the catalogue says of one model (wire.md section 9)."""

    id: str
    name: str
    context_length: int | None = None
    max_completion_tokens: int | None = None
    price: Price | None = None
    """None: unknown or dynamic (`-1`); never to be multiplied."""
    price_rules: tuple[PriceRule, ...] = ()
    """Later ones win."""
    supported_parameters: frozenset[str] | None = None
    """None: not told."""
    reasoning_mandatory: bool = False
    expiration_date: str | None = None
    alias_target: str | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """A model that may answer, in its place in the chain."""

    model: str
    """The id to send upstream."""
    name: str
    """Its display name."""
    route: Route
    why: str
    """One sentence for a person: why this model stands here."""
    info: Model | None = None
    prefill: bool | None = None
    """Whether it takes an assistant turn as the beginning of its answer; None: not known."""


class Plan(Struct, frozen=True, kw_only=True):
    """The outcome of routing: who may answer, in order, and what of the task goes along."""

    candidates: tuple[Candidate, ...]
    task: str
    """The task's canonical name; "" for a plain model id."""
    system: str = ""
    """The task's system prompt; "" where none of ours goes along."""
    defaults: Mapping[str, Any] = {}
    """The task's parameters: they fill absent fields only."""
    timeouts: Timeouts = Timeouts()
    policy: Policy = Policy()
    is_bound: bool = False
    """Whether a bound on cost or a hard budget holds: the prices that we reckon with are then the dearest allowed."""
    notes: tuple[str, ...] = ()
    """What the caller should be told: a dead id's successor, an alias, an expiry."""


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """One upstream request. The key is not in it: the wire adds it when it leaves."""

    route: Route
    path: str
    body: bytes = b""
    method: Literal["GET", "POST"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    connect_timeout: float = 10.0


class ToolCall(Struct, frozen=True):
    """A whole tool call. `arguments` is the model's own text, usually JSON."""

    index: int
    id: str
    name: str
    arguments: str
    type: str = "function"


class ToolCallPart(Struct, frozen=True, gc=False):
    """A piece of a tool call as it streams: `id` and `name` come once, `arguments` in pieces."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    type: str = "function"


class Delta(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one network read brought. `str(delta)` is its text."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    reasoning_details: tuple[dict[str, Any], ...] = ()
    tool_calls: tuple[ToolCallPart, ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()
    images: tuple[dict[str, Any], ...] = ()
    audio: tuple[dict[str, Any], ...] = ()
    logprobs: tuple[dict[str, Any], ...] = ()
    event: Event | None = None
    """What happened at this point, before the words of this delta."""

    def __str__(self) -> str:
        return self.text


class Usage(Struct, frozen=True, kw_only=True, gc=False):
    """Tokens by the model's own tokenizer, and what they cost (wire.md section 4.2)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    web_searches: int = 0
    cost_units: int | None = None
    """Charged to the account, in units of 10⁻¹² USD; None: not told."""
    upstream_units: int | None = None
    """The provider's own price; to be added only where `is_byok`."""
    is_byok: bool = False
    cost_text: str = ""
    """The provider's own decimal text of the cost."""

    @property
    def spend_units(self) -> int | None:
        """What the request cost in all: the charge, and the provider's bill where the key was one's own."""
        return spend(self.cost_units, self.upstream_units, self.is_byok)


class Fault(Struct, frozen=True, kw_only=True):
    """Why an attempt failed. `code` is a row of the table in `errors`."""

    code: str
    message: str = ""
    """The upstream's own words, cleaned of keys; "" where there were none."""
    status: int | None = None
    """The HTTP status, or the code in the body where the failure came in-band."""
    retry_after: float | None = None
    """Seconds; the smallest hint given."""
    error_type: str = ""
    """OpenRouter's stable vocabulary (wire.md 6.3), or the availability code."""
    provider: str = ""
    affordable_tokens: int | None = None
    """What a 402 says could be paid for."""
    affordable_units: int | None = None
    """What a budget of ours has room for."""
    hint: tuple[str, ...] = ()
    """What the person can do, where that is more than the table says."""


class Attempt(Struct, frozen=True, kw_only=True, gc=False):
    """One try at one model, as the caller may read it afterwards."""

    model: str
    outcome: str
    """`answered`, or the code of the fault."""
    cost_units: int | None = None
    """Units of 10⁻¹² USD; None: not known (yet)."""
    quality: Quality = "unknown"
    generation_id: str = ""
    message: str = ""
    """The upstream's own words where it failed."""
    status: int | None = None
    first_token: float | None = None
    """Seconds from dispatch to the first token."""
    seconds: float = 0.0
    completion_tokens: int | None = None
    """Tokens of its answer; None: not told."""

    @property
    def cost(self) -> Decimal | None:
        """USD; None: not known (yet)."""
        return None if self.cost_units is None else to_usd(self.cost_units)

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens per second of generation, from the first token on; None: not known."""
        if self.completion_tokens is None or self.first_token is None or self.seconds <= self.first_token:
            return None
        return self.completion_tokens / (self.seconds - self.first_token)


class Reply(Struct, frozen=True, kw_only=True):
    """A finished answer, or with an error what there was of it."""

    text: str = ""
    model: str = ""
    """The model that really answered, as the provider names it."""
    model_name: str = ""
    requested_model: str = ""
    task: str = ""
    why: str = ""
    """Why this model was asked."""
    reasoning: str = ""
    refusal: str = ""
    reasoning_details: tuple[dict[str, Any], ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()
    images: tuple[dict[str, Any], ...] = ()
    audio: dict[str, Any] | None = None
    logprobs: tuple[dict[str, Any], ...] = ()
    finish_reason: str = ""
    """`stop`, `tool_calls` or an equivalent: whole. `length`: cut by the token limit. "": it never finished."""
    native_finish_reason: str = ""
    usage: Usage | None = None
    provider: str = ""
    generation_id: str = ""
    system_fingerprint: str = ""
    service_tier: str = ""
    openrouter_metadata: dict[str, Any] | None = None
    id: str = ""
    """The request's id, ours."""
    attempts: tuple[Attempt, ...] = ()
    seams: tuple[Seam, ...] = ()
    """Where another attempt went on after the answer had broken off; empty for an answer of one piece."""
    notes: tuple[str, ...] = ()
    """What the caller should know besides: a dead id's successor, a ledger that could not be written."""
    headers: tuple[tuple[str, str], ...] = ()
    """What the upstream's headers told of its own response cache, where that was wanted (wire.md 2.3)."""
    first_token: float | None = None
    """Seconds from dispatch of the answering attempt to its first token."""
    seconds: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of the answer that we do not know, as they came."""

    def __str__(self) -> str:
        return self.text

    @property
    def whole(self) -> bool:
        """Whether the answer came to its own end (a `length` cut did not)."""
        return self.finish_reason not in ("", "length", "content_filter", "error")

    @property
    def cost(self) -> Decimal | None:
        """What all attempts whose cost is known cost together, USD; None where none is. See `cost_known`."""
        known = [a.cost_units for a in self.attempts if a.cost_units is not None]
        return to_usd(sum(known)) if known else None

    @property
    def cost_known(self) -> Literal["reported", "estimated", "partial", "unknown"]:
        """How `cost` is known: `partial` means that an attempt is missing from the sum."""
        qualities = {a.quality for a in self.attempts}
        if not qualities or qualities == {"unknown"}:
            return "unknown"
        if qualities & {"unknown", "partial"}:
            return "partial"
        return "estimated" if "estimated" in qualities else "reported"

    @property
    def tokens_per_second(self) -> float | None:
        """The answering attempt's own: what others wrote before it makes it no faster. None: not known."""
        answered = (one.tokens_per_second for one in self.attempts if one.outcome == "answered")
        return next(answered, None)


class Intent(Struct, frozen=True, kw_only=True, gc=False):
    """The row that is written before an attempt is dispatched. No prompt text, ever."""

    attempt: str
    request: str
    number: int
    task: str
    model: str
    key: str
    streamed: bool
    worst_units: int | None
    """What the attempt can cost at most, in units; None: not bounded by a known price."""
    upstream_key: str = ""
    """As in `Ask`."""


class Settlement(Struct, frozen=True, kw_only=True, gc=False):
    """The row that ends an attempt."""

    attempt: str
    outcome: str
    quality: Quality
    cost_units: int | None
    cost_text: str = ""
    usage: Usage | None = None
    model: str = ""
    provider: str = ""
    generation_id: str = ""
    finish_reason: str = ""
    error: str = ""
    first_token: float | None = None
    seconds: float = 0.0


__all__ = [
    "UNSET",
    "Ask",
    "Attempt",
    "Candidate",
    "Delta",
    "Failover",
    "Fault",
    "Intent",
    "Message",
    "Model",
    "Plan",
    "Policy",
    "Price",
    "PriceRule",
    "Quality",
    "Reply",
    "Request",
    "Route",
    "Settlement",
    "Timeouts",
    "ToolCall",
    "ToolCallPart",
    "UnsetType",
    "Usage",
]
