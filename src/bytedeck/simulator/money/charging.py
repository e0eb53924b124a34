"""What a generation costs in the end: booked once, as far as it came.

Whole answers cost what they say. Where a client left, it pays for what was produced until then, or for all of it at
providers that cannot be stopped and wherever there was no stream (wire reference, 5.3). Failed parts are free.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..faults.fault import Outcome
from ..shapes import Bill, Counts, Sent
from ..turn import Turn
from .generations import Generation

UNSTOPPABLE = frozenset(
    {
        "Amazon Bedrock",
        "Groq",
        "Google",
        "Google AI Studio",
        "Google Vertex",
        "Mistral",
        "Perplexity",
        "SambaNova",
        "Nebius",
        "Nebius AI Studio",
        "Nebius Token Factory",
        "Alibaba",
        "Alibaba Cloud Int.",
        "Minimax",
    }
)
"""Providers that compute and bill to the end, whoever has left."""


class Charge:
    """One generation's way into the ledger."""

    def __init__(
        self, turn: Turn, sent: Sent, asked: str, outcome: Outcome = "whole", source_id: str | None = None
    ) -> None:
        self._turn, self._sent, self._asked = turn, sent, asked
        self._outcome, self._source = outcome, source_id
        self._booked = False
        self._first: float | None = None
        self.tokens = 0
        """Sent so far; whoever sends counts them."""

    def began(self) -> None:
        """The first token goes out."""
        if self._first is None:
            self._first = self._turn.world.clock.now()

    def whole(self) -> None:
        """All of it was produced that ever will be."""
        counts = self._sent.answer.counts
        if self._source:
            self._book(counts, self._sent.bill, "hit", cancelled=False)
        elif self._outcome == "error":
            counts = self._produced() if self._sent.call.stream else counts
            self._book(counts, self._sent.bill, "error", cancelled=False)
        else:
            self._book(counts, self._sent.bill, "whole", cancelled=False)

    def settle(self) -> None:
        """Nothing more will be produced."""
        if self._booked:
            return
        if self._outcome == "error" or self._source:
            self.whole()
        elif self._outcome == "truncated":
            self._partly("truncated", cancelled=False)
        elif not self._sent.call.stream or self._sent.provider in UNSTOPPABLE:
            self._book(self._sent.answer.counts, self._sent.bill, "cancelled", cancelled=True)
        else:
            self._partly("cancelled", cancelled=True)

    def _partly(self, outcome: str, cancelled: bool) -> None:
        counts = self._produced()
        bill = self._turn.world.bank.bill(
            self._turn.key,
            self._sent.model,
            counts,
            self._turn.world.clock.now(),
            self._sent.service_tier,
            finish_reason=None,
            provider=self._sent.provider,
        )
        self._book(counts, bill, outcome, cancelled)

    def _produced(self) -> Counts:
        """The counts of what was produced so far: reasoning comes first, images last."""
        counts = self._sent.answer.counts
        return replace(
            counts,
            completion=min(self.tokens, counts.completion),
            reasoning=min(self.tokens, counts.reasoning),
            images=max(0, counts.images - max(0, counts.completion - self.tokens)),
        )

    def _book(self, counts: Counts, bill: Bill, outcome: str, cancelled: bool) -> None:
        if self._booked:
            return
        self._booked = True
        sent, request, body = self._sent, self._turn.request, self._sent.call.body
        finish: str | None = sent.answer.finish_reason or None
        if outcome == "error":
            finish = "error"
        elif outcome in ("cancelled", "truncated"):
            finish = None
        generation = Generation(
            id=sent.id,
            model=sent.model,
            asked=self._asked,
            provider=sent.provider,
            skin=sent.call.skin,
            counts=counts,
            bill=bill,
            created=request.now,
            ended=self._turn.world.clock.now(),
            first_token=self._first,
            streamed=sent.call.stream,
            cancelled=cancelled,
            outcome=outcome,
            finish_reason=finish,
            native_finish_reason=sent.answer.native_finish_reason if finish else None,
            service_tier=sent.service_tier,
            source_id=self._source,
            router=self._asked if self._asked.startswith("openrouter/") else None,
            session_id=_text(body.get("session_id")) or request.headers.get("x-session-id"),
            user=_text(body.get("user")),
            user_agent=request.headers.get("user-agent"),
            referer=request.headers.get("http-referer"),
            attempts=tuple((attempt.provider, attempt.status) for attempt in self._turn.attempts),
        )
        self._turn.world.bank.charge(self._turn.key, generation)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
