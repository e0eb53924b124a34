"""What the arena's routes take. What a shape cannot say, such as whether a model is known, is checked where a match is made."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from ...arena.types import Fallback, Fighter, Persona, Source, Turns
from ...config import Config
from ...errors import InvalidRequest

_Model = Annotated[str, Meta(min_length=1, max_length=300)]
_Text = Annotated[str, Meta(min_length=1, max_length=100_000)]
_Usd: TypeAlias = Decimal | None
_Judges: TypeAlias = Annotated[int, Meta(ge=0, le=9)] | Annotated[tuple[_Model, ...], Meta(max_length=9)]
_Tokens = Annotated[int, Meta(ge=1, le=100_000)]
_Temperature: TypeAlias = Annotated[float, Meta(ge=0, le=2)] | None
_Voter = Annotated[str, Meta(max_length=100, pattern=r"^[^/\x00-\x1f]*\Z")]


EVENT = r"([0-9]{1,12})(?:-([0-9]{1,6}))?"
"""An event's id: its number, and its life where that is told."""


class NewPersona(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a fighter plays."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    style: Annotated[str, Meta(max_length=2000)] = ""
    colour: Annotated[str, Meta(pattern=r"^(#[0-9a-fA-F]{6})?\Z")] = ""


class NewFighter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who argues. `persona`: one of the settings by its name, or one of its own."""

    model: _Model
    stance: Annotated[str, Meta(max_length=10_000)] = ""
    persona: str | NewPersona | None = None
    fallbacks: Annotated[tuple[_Model, ...], Meta(max_length=10)] = ()


class NewDebate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `hub.debate` takes it."""

    topic: _Text
    fighters: Annotated[tuple[_Model | NewFighter, ...], Meta(min_length=2, max_length=4)]
    rounds: Annotated[int, Meta(ge=1, le=9)] = 3
    turns: Turns = "simultaneous"
    max_tokens: _Tokens = 500
    temperature: _Temperature = 0.8
    judges: _Judges = 3
    commentator: Annotated[str, Meta(max_length=300)] | None = None
    budget: _Usd = None
    task: Annotated[str, Meta(max_length=200)] = "general"
    fallback: Fallback = "void"
    vote_seconds: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    public: bool = False


class NewBattle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `hub.battle` takes it."""

    prompt: _Text
    models: Annotated[tuple[_Model | NewFighter, ...], Meta(min_length=2, max_length=2)]
    max_tokens: _Tokens = 1000
    temperature: _Temperature = None
    judges: _Judges = 0
    budget: _Usd = None
    task: Annotated[str, Meta(max_length=200)] = "general"
    fallback: Fallback = "void"
    public: bool = False


class NewVote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`round`: from 0; null: on the whole match."""

    choice: Annotated[str, Meta(min_length=1, max_length=300)]
    round: Annotated[int, Meta(ge=0, le=8)] | None = None
    voter: _Voter = ""


class Resumption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`budget`: what all of it may cost from now on; null: as before."""

    budget: _Usd = None


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing can be said here."""


class ListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before`: the id of a match; only older ones are listed."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    before: Annotated[str, Meta(pattern=r"^([a-z2-7]{10})?\Z")] = ""


class MatchQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`voter`: as in a vote; who has voted in a battle is told who fights."""

    voter: _Voter = ""


class EventsQuery(MatchQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`after`: the id, or the number alone, of the last event that is known; `names`: whether each event has its type's
    name in the stream."""

    after: Annotated[str, Meta(pattern=rf"^(-1|{EVENT})?\Z")] = ""
    names: bool = True


class BoardQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`task`: "" is all together; `style`: at equal length and formatting."""

    task: Annotated[str, Meta(max_length=200)] = ""
    source: Source = "judges"
    style: bool = True


def fighter(said: str | NewFighter, config: Config) -> Fighter:
    """A fighter as it was asked for. Raises InvalidRequest for a persona that the settings do not have."""
    if isinstance(said, str):
        return Fighter(said)
    persona = said.persona
    if isinstance(persona, str):
        known = config.arena.personas
        if persona not in known:
            raise InvalidRequest(
                f"There is no persona {persona[:100]!r}.", hint=(f"These are there: {', '.join(known)}.",)
            )
        return Fighter(said.model, said.stance, Persona(**known[persona]), said.fallbacks)
    own = None if persona is None else Persona(name=persona.name, style=persona.style, colour=persona.colour)
    return Fighter(said.model, said.stance, own, said.fallbacks)
