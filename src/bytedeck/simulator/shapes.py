"""The simulator's nouns: what travels from a request's bytes to the bytes of its answer.

Imports nothing but msgspec and the standard library, as the whole simulator imports nothing of Bytedeck.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

Skin: TypeAlias = Literal["chat", "completions", "responses", "messages", "embeddings", "rerank"]
"""Which of OpenRouter's inference APIs a request speaks."""


class Refusal(Exception):
    """OpenRouter's own words for "no". Each skin puts it into its envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        error_type: str = "",
        *,
        code: int | str | None = None,
        metadata: dict[str, Any] | None = None,
        availability: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, and `error.code` unless `code` says another."""
        self.message = message
        self.error_type = error_type
        """One of the 27 of wire reference 6.3, or "" where OpenRouter tells none."""
        self.code = code
        self.metadata = metadata or {}
        """Further keys of `error.metadata`; `error_type` is put there from above."""
        self.availability = availability
        self.headers = headers or {}
        """Response headers: Retry-After, X-RateLimit-*."""


class Reasoning(Struct, frozen=True, kw_only=True):
    """What a request asks of reasoning, from `reasoning`, `reasoning_effort` or `thinking`. None: not said."""

    enabled: bool | None = None
    effort: str | None = None
    max_tokens: int | None = None
    exclude: bool = False


class Call(Struct, frozen=True, kw_only=True):
    """A request whose form was checked, alike for all skins that answer with words."""

    skin: Skin
    body: dict[str, Any]
    """As it was sent, decoded; the order of its keys is the sender's."""
    raw: bytes
    models: tuple[str, ...]
    """`model`, then `models` or `fallbacks`, each once; empty: the account's default."""
    stream: bool
    messages: tuple[dict[str, Any], ...] = ()
    """In the shape of chat completions, whatever the skin; `system`, `instructions` come first."""
    max_tokens: int | None = None
    tools: tuple[dict[str, Any], ...] = ()
    """In the shape of chat completions."""
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None
    reasoning: Reasoning = Reasoning()
    stop: tuple[str, ...] = ()
    seed: int | None = None
    modalities: tuple[str, ...] = ("text",)
    plugins: tuple[str, ...] = ()
    """Ids; `:online` and server tools for the web are told as "web"."""


class Price(Struct, frozen=True, kw_only=True):
    """USD per token or unit, exact. `dynamic` where the list says "-1"."""

    prompt: Decimal
    completion: Decimal
    request: Decimal = Decimal(0)
    image: Decimal = Decimal(0)
    web_search: Decimal = Decimal(0)
    internal_reasoning: Decimal = Decimal(0)
    """0: reasoning is billed as completion."""
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    dynamic: bool = False
    input_cache_write_1h: Decimal | None = None
    image_output: Decimal | None = None
    """Per image token of the answer; None: as completion."""


class Model(Struct, frozen=True, kw_only=True):
    """A row of the catalogue: what `/models` shows, and what the simulator knows besides."""

    id: str
    shown: dict[str, Any]
    """The object of `/models`, JSON as it is sent."""
    canonical: str
    """The permanent, dated slug."""
    name: str
    context_length: int
    max_completion_tokens: int
    providers: tuple[str, ...]
    """Display names; the first one answers."""
    parameters: frozenset[str]
    input_modalities: frozenset[str]
    output_modalities: frozenset[str]
    reasoning: dict[str, Any] | None = None
    """`supported_efforts`, `default_effort`, `default_enabled`, `mandatory`, `supports_max_tokens`."""
    alias_target: str = ""
    is_free: bool = False
    accepts_prefill: bool = True
    needs_reasoning_details: bool = False
    """Gemini-3-like: an assistant turn with tool calls must bring its reasoning_details back."""
    signs_reasoning: bool = False
    """Claude-like: a reasoning_details item with a foreign or damaged signature is refused."""
    reasoning_format: str = "unknown"
    """`format` of its reasoning_details."""
    native_stop: str = "stop"
    """Its `native_finish_reason` for a normal end."""
    is_moderated: bool = False
    zdr: bool = False
    """Its providers keep nothing of a request."""
    distillable: bool = False
    """Its answers may train other models."""
    quantization: str = "unknown"
    is_listed: bool = True
    """Whether every list of models shows it; those of the simulator's own stand in `/models/user` and `/sim/faults`."""
    gone: str = ""
    """Why it is not served: "dead" (400), "deprecated", "no_endpoints", "free_ended" (404); "" if it is."""
    successor: str = ""


class Counts(Struct, frozen=True, kw_only=True):
    """Tokens; the details are parts of the totals."""

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0
    cache_write: int = 0
    images: int = 0
    """Image tokens within `completion`."""
    web_searches: int = 0
    """Requests, not tokens."""
    cache_write_1h: int = 0
    """Tokens within `cache_write` that were asked to be kept for an hour."""
    input_images: int = 0
    """Pictures in the prompt, where the price list has a price for each."""
    search_units: int = 0
    """What rerankers count by; 0 is billed as one request."""


class Bill(Struct, frozen=True, kw_only=True):
    """What an answer costs, in credits (1 credit = 1 USD)."""

    cost: Decimal
    """What the account is charged."""
    upstream: Decimal
    """What the provider takes; with BYOK that is paid elsewhere."""
    upstream_prompt: Decimal = Decimal(0)
    upstream_completion: Decimal = Decimal(0)
    is_byok: bool = False


Kind: TypeAlias = Literal["reasoning", "details", "content", "refusal", "tool", "annotation", "image"]


class Piece(Struct, frozen=True):
    """One delta of an answer, before any skin gives it a form."""

    kind: Kind
    text: str = ""
    """reasoning, content, refusal: the words. tool: the next part of the arguments."""
    tokens: int = 0
    data: dict[str, Any] | None = None
    """details: one reasoning_details item. annotation: one `url_citation`. image: `{"image_url": {"url": …}}`.
    tool: `{"index": 0}`, in its first piece also `id` and `name`."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a model says: known to the last character before the first is sent."""

    pieces: tuple[Piece, ...]
    finish_reason: str
    native_finish_reason: str
    counts: Counts
    stop_sequence: str = ""
    """The stop string that ended it, if one did."""
    notes: tuple[str, ...] = ()
    """What of the prompt's directives came to nothing, and why."""

    @property
    def text(self) -> str:
        """The visible words."""
        return "".join(piece.text for piece in self.pieces if piece.kind == "content")


class Sent(Struct, frozen=True, kw_only=True):
    """An answer on its way: what a skin needs to give it a form."""

    id: str
    """`gen-…`"""
    created: int
    """Seconds since 1970 on the simulator's clock."""
    model: Model
    provider: str
    call: Call
    answer: Answer
    bill: Bill
    service_tier: str | None = None
    metadata: dict[str, Any] | None = None
    """`openrouter_metadata`, where asked for."""


class Event(Struct, frozen=True):
    """One event of a stream, ready to be sent: `data: …` or `event: …` lines and the blank line."""

    data: bytes
    tokens: int = 0
    """How many of the answer's tokens it brings: what pace and an early end are counted by."""
    kind: Literal["open", "delta", "finish", "usage", "done"] = "delta"
    text: str = ""
    """The visible words in it, for whoever has to know what a client can have seen."""


class Write(Struct, frozen=True):
    """Send these bytes, as a packet of their own."""

    data: bytes
    tokens: int = 0


class Pause(Struct, frozen=True):
    """Send nothing for so many seconds."""

    seconds: float


class Stall(Struct, frozen=True):
    """Send nothing any more, and wait for the client to leave; with `comment` every so many seconds."""

    comment: bytes = b""
    every: float = 1.0


class Cut(Struct, frozen=True):
    """End the connection: as if the server had gone (reset), or with the body's rest missing."""

    reset: bool = False


Step: TypeAlias = Write | Pause | Stall | Cut


class Head(Struct, frozen=True):
    """Status and headers. `length` None: chunked."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
