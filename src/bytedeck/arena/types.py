"""The nouns of the arena: who fights about what by which rules, and what it comes to. What happens: `events.py`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Kind = Literal["debate", "battle"]
"""A debate has stances and rounds; a battle is one prompt and an answer of each, the models hidden until the vote."""

Turns = Literal["simultaneous", "alternating"]
"""In a round all speak at once and none has the last word; or one after the other, and then the whole debate is held
once more with the order reversed (a second leg)."""

Phase = Literal["opening", "rebuttal", "closing", "answer"]

Fallback = Literal["void", "spoke"]
"""What a turn counts for that another model has spoken: nothing, or for the model that spoke."""

Source = Literal["judges", "owner", "spectators"]
"""Whose opinion a result is. They are never mixed."""

End = Literal["decided", "unjudged", "failed", "stopped"]
"""`unjudged`: it was held, and nobody could say who won. `failed`: nobody could speak any more."""


class Persona(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whom a fighter plays."""

    name: str
    style: str = ""
    """How it argues, in a sentence or two, told to the model."""
    colour: str = ""
    """`#rrggbb`, for who shows it; "": chosen by its place."""


class Fighter(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who argues."""

    model: str
    """An id, an alias or a name, as `model=` takes it."""
    stance: str = ""
    """What it stands for; "" in a debate: the first is for the topic, the second against it, others have their own view."""
    persona: Persona | None = None
    fallbacks: tuple[str, ...] = ()
    """Models that go on for it when its own fails. See `Rules.fallback`."""
    sent: str = ""
    """The id that is sent upstream for it, as resolved when the match was made: by it a turn is known for its own."""
    rated: str = ""
    """The id that it is rated under, as resolved when the match was made: an alias such as `~author/family-latest` is its target."""
    name: str = ""
    """The model's name for people, as resolved when the match was made."""


class Rules(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a match is held. What is made by `debate()` is checked; the struct itself takes anything."""

    rounds: int = 3
    """1 to 9: the first is the opening, the last the closing, those between are rebuttals."""
    turns: Turns = "simultaneous"
    max_tokens: int = 500
    """Of a turn's text. What a model thinks comes on top of it."""
    temperature: float | None = 0.8
    """None: the model's own. Sent where the model takes one."""
    judges: tuple[str, ...] = ()
    """The panel, by model, each asked twice with the sides swapped; empty: nobody judges."""
    commentator: str = ""
    """The model that sums up at the end; "": nobody."""
    budget_units: int | None = None
    """What all of it may cost, units of 10⁻¹² USD; None: unbounded."""
    fallback: Fallback = "void"
    vote_seconds: float = 0.0
    """How long people may vote after each round before the next one begins; votes are taken later, too, for the whole."""


class Match(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is fought about, by whom, by which rules. It never changes."""

    id: str
    """Ten signs of a–z and 2–7."""
    kind: Kind
    topic: str
    """What is argued about; a battle's prompt."""
    fighters: tuple[Fighter, ...]
    """Two to four; a battle has two."""
    rules: Rules = Rules()
    task: str = "general"
    """The task type that it is rated under."""
    owner: str = ""
    """The virtual key's name that made it; "": whoever owns the machine."""
    is_public: bool = False
    """Whether other keys may watch it and vote."""
    unrated: str = ""
    """Why what its judges say rates nobody, as far as the panel decides that: a sentence for people; "": it may."""
    created: int = 0
    """Microseconds since 1970."""
    seed: int = 0
    """What is drawn by chance for it, such as whom a judge of more than two is shown first, is drawn from this: 0 to 2⁶³."""

    @property
    def is_mirror(self) -> bool:
        """Whether a model meets itself: that is shown, and rates nobody."""
        return len({one.rated or one.model for one in self.fighters}) < len(self.fighters)

    @property
    def legs(self) -> int:
        """How often it is held: twice where somebody would always have the last word."""
        return 2 if self.kind == "debate" and self.rules.turns == "alternating" else 1


class Turn(Struct, frozen=True):
    """One fighter's turn. All numbers begin at 0."""

    leg: int
    round: int
    fighter: int
    """Its place in `Match.fighters`."""

    @property
    def part(self) -> str:
        """What its words are filed under: `t0.2.1`."""
        return f"t{self.leg}.{self.round}.{self.fighter}"


class Look(Struct, frozen=True):
    """One look of a judge at one leg. `is_swapped`: it is shown the sides in reversed order. `again`: it is asked once more."""

    judge: int
    """Its place in `Rules.judges`."""
    leg: int
    is_swapped: bool
    again: bool = False

    @property
    def part(self) -> str:
        """What it is filed under: `j2.0.s`, and asked once more `j2.0.s.2`."""
        return f"j{self.judge}.{self.leg}.{'s' if self.is_swapped else 'p'}{'.2' if self.again else ''}"


COMMENT = "comment"
"""What the commentator's words are filed under."""


class Scores(Struct, frozen=True):
    """One side in one round by the rubric, each 1 to 10."""

    evidence: int
    reasoning: int
    rebuttal: int
    clarity: int

    @property
    def mean(self) -> float:
        return (self.evidence + self.reasoning + self.rebuttal + self.clarity) / 4


class Verdict(Struct, frozen=True, kw_only=True):
    """What a judge said in one look. Fighters in the order of `Match.fighters`, however they were shown."""

    places: tuple[int, ...]
    """Of each fighter: 1 is the best; equal ones are a tie."""
    scores: tuple[tuple[Scores, ...], ...] = ()
    """By round, then by fighter; empty where the judge scored no rounds."""
    reason: str = ""


class Ruling(Struct, frozen=True, kw_only=True):
    """What one judge says of two fighters, from all its looks."""

    judge: str
    first: int
    second: int
    """Places in `Match.fighters`, the first before the second."""
    plain: float
    """1: the first one won, 0: the second one, 0.5: a tie, where it was shown before the second one; the mean over legs."""
    swapped: float
    """The same where it was shown after it."""
    score: float
    """What it counts for, 1, 0.5 or 0: the winner that both name, else a tie."""

    @property
    def is_flip(self) -> bool:
        """Whether the judge did not name the same winner when the sides were swapped."""
        return (self.plain > 0.5, self.plain < 0.5) != (self.swapped > 0.5, self.swapped < 0.5)


Choice: TypeAlias = int | None
"""A fighter's place; None: a tie."""


class Vote(Struct, frozen=True, kw_only=True):
    """One person's vote. Whoever votes again in the same round has changed their mind."""

    match: str
    voter: str
    """Who votes, by a name that only tells them apart."""
    source: Literal["owner", "spectators"]
    round: int | None
    """None: on the whole match."""
    choice: Choice
    at: int = 0


class Result(Struct, frozen=True, kw_only=True):
    """What one match says of two models: a row of what the ratings are fitted to."""

    match: str
    task: str
    kind: Kind
    source: Source
    first: str
    second: str
    """The ids that they are rated under."""
    score: float
    """1: the first one won, 0: the second one, 0.5: a tie."""
    style: tuple[float, ...] = ()
    """How the first one's texts differ from the second one's, by `style.FEATURES`."""
    at: int = 0


class Opinion(Struct, frozen=True, kw_only=True):
    """What one judge said of two models in one match: a row of the audit."""

    match: str
    task: str
    judge: str
    first: str
    second: str
    plain: float
    swapped: float
    """See `Ruling`."""
    first_style: tuple[float, ...] = ()
    at: int = 0


class Change(Struct, frozen=True, kw_only=True):
    """One change of a task's order, with what speaks for it."""

    task: str
    before: tuple[str, ...]
    """The task's models as they were asked, in order."""
    after: tuple[str, ...]
    why: str
    """A sentence for people."""
    evidence: dict[str, str | int | float | None] = {}
    by: Literal["person", "automatic", "undo"] = "person"
    undoes: int | None = None
    """The number of the change that this one takes back."""
    number: int = 0
    """1 is the first one ever."""
    at: int = 0
