"""What happens in a match, event by event.

A match is its list of events, append-only: whoever reads them from the first one knows everything about it, so a
match that was cut off goes on where its events end, and a watcher who comes late misses nothing.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from .types import End, Look, Match, Phase, Ruling, Turn, Verdict


class Told(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What happened in a match. The base of all events."""

    seq: int = 0
    """Its number in the match, without gaps from 0."""
    at: int = 0
    """Microseconds since 1970."""


class Begun(Told, frozen=True, kw_only=True, tag="begun"):
    """The first event of every match."""

    match: Match


class Words(Told, frozen=True, kw_only=True, tag="words"):
    """Text as it was generated, of a turn or the commentator."""

    part: str
    text: str = ""
    erase: int = 0
    """That many characters of what stands there are taken back first: the answer had broken off and began anew."""


class TurnBegan(Told, frozen=True, kw_only=True, tag="turn_began"):
    """A model is asked: this is written before anything is sent."""

    turn: Turn
    phase: Phase
    request: str
    """The request's id: its attempts stand in the ledger under it."""


class TurnEnded(Told, frozen=True, kw_only=True, tag="turn_ended"):
    """A fighter has said what it had to say."""

    turn: Turn
    request: str
    text: str
    model: str
    """The model that spoke."""
    finish_reason: str = ""
    """`length`: it was cut by the limit of tokens."""
    completion_tokens: int | None = None
    cost_units: int | None = None
    """As known at that moment; the ledger may know better later."""
    seconds: float = 0.0
    first_token: float | None = None
    is_void: bool = False
    """Whether it rates nobody: another model had to speak, or did in part."""
    why_void: str = ""


class TurnFailed(Told, frozen=True, kw_only=True, tag="turn_failed"):
    """A fighter could not speak. What it had said until then is no argument, and nobody is shown it as one."""

    turn: Turn
    request: str
    code: str
    """A row of the table of errors."""
    message: str
    """A sentence for people."""
    cost_units: int | None = None


class RoundEnded(Told, frozen=True, kw_only=True, tag="round_ended"):
    """All who still can have spoken: people may vote now."""

    leg: int
    round: int


class JudgeBegan(Told, frozen=True, kw_only=True, tag="judge_began"):
    """A judge is asked: this is written before anything is sent."""

    look: Look
    judge: str
    """Its model."""
    request: str


class JudgeEnded(Told, frozen=True, kw_only=True, tag="judge_ended"):
    """A judge has said what it thinks."""

    look: Look
    judge: str
    request: str
    verdict: Verdict
    model: str = ""
    """The model that answered."""
    cost_units: int | None = None


class JudgeFailed(Told, frozen=True, kw_only=True, tag="judge_failed"):
    """A judge gave no verdict: it failed, or answered nonsense. It is asked once more, then left out."""

    look: Look
    judge: str
    request: str
    code: str
    """A row of the table of errors, or `nonsense`."""
    message: str
    is_out: bool
    """Whether it is left out now."""
    cost_units: int | None = None


class Decided(Told, frozen=True, kw_only=True, tag="decided"):
    """What the panel says, once every judge has spoken or is left out."""

    rulings: tuple[Ruling, ...]
    score: tuple[tuple[int, int, float], ...]
    """Of each pair (first, second): 1, 0.5 or 0 for the first, by the majority of the panel."""
    winner: int | None
    """A fighter's place; None: a tie."""
    health: tuple[tuple[int, ...], ...] = ()
    """Hit points of each fighter after each round, 100 at first."""


class CommentBegan(Told, frozen=True, kw_only=True, tag="comment_began"):
    """The commentator is asked."""

    model: str
    request: str


class CommentEnded(Told, frozen=True, kw_only=True, tag="comment_ended"):
    """The commentator has summed up, or could not (`text` is "" then, and `message` says why)."""

    request: str
    text: str
    model: str = ""
    message: str = ""
    cost_units: int | None = None


class Paused(Told, frozen=True, kw_only=True, tag="paused"):
    """The budget has no room for what is next: it goes on once somebody allows more. Or something else keeps the calls back
    that is no fighter's fault: then `code` and `why` say what, and they are made again when it goes on."""

    spent_units: int
    needed_units: int | None
    """What the next calls may cost at worst, all together; None: no known price bounds it, or it is not about money."""
    budget_units: int | None
    """None: there is no budget."""
    code: str = ""
    """A row of the table of errors; "": the budget."""
    why: str = ""
    """A sentence for people."""


class Resumed(Told, frozen=True, kw_only=True, tag="resumed"):
    """It goes on: after a pause, or in another process after the one that held it has died."""

    budget_units: int | None = None
    """What all of it may cost from now on; None: as before."""
    lost: tuple[str, ...] = ()
    """Requests that had begun and will never end: their parts are asked for once more."""


class Ended(Told, frozen=True, kw_only=True, tag="ended"):
    """The last event of every match that is over."""

    end: End
    is_rated: bool
    """Whether the judges' opinion counts for the ratings."""
    why: str = ""
    """Why it is not rated, or not decided: a sentence for people."""
    cost_units: int | None = None
    """What is known of its cost at that moment."""


Event: TypeAlias = (
    Begun
    | Words
    | TurnBegan
    | TurnEnded
    | TurnFailed
    | RoundEnded
    | JudgeBegan
    | JudgeEnded
    | JudgeFailed
    | Decided
    | CommentBegan
    | CommentEnded
    | Paused
    | Resumed
    | Ended
)
