"""What a caller asked for, as a match: every argument checked, every model found, before anything is kept or sent."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, get_args

from msgspec import MsgspecError, Struct, convert, structs

from .. import arguments
from ..arena.judges import panel
from ..arena.match import script
from ..arena.types import Fallback, Fighter, Kind, Match, Rules, Turns
from ..callers import Caller
from ..config import nearest
from ..errors import ByteError, CallerError, InvalidRequest
from ..house import House
from ..money import to_text
from ..types import Ask, Candidate, Model

MOST_BYTES = 100_000
"""Of a topic, in UTF-8."""
MOST_FIGHTERS = 4
MOST_ROUNDS = 9
MOST_JUDGES = 9
MOST_TOKENS = 100_000
MOST_SECONDS = 3600.0
_chance = random.SystemRandom()
_SIGNS = "abcdefghijklmnopqrstuvwxyz234567"


class Asked(Struct, frozen=True, kw_only=True):
    """A debate or a battle as it was asked for; nothing of it is checked yet."""

    kind: Kind
    topic: object
    fighters: object
    rounds: object = 1
    turns: object = "simultaneous"
    max_tokens: object = 500
    temperature: object = 0.8
    judges: object = 0
    commentator: object = ""
    """None: the one that the settings name."""
    budget: object = None
    task: object = "general"
    fallback: object = "void"
    vote_seconds: object = 0.0
    public: object = False
    caller: Caller | None = None
    """Whose virtual key asks, and pays."""


class Wish(Struct, frozen=True, kw_only=True):
    """What was asked for, checked as far as that needs no look at the models."""

    kind: Kind
    topic: str
    fighters: tuple[Fighter, ...]
    rules: Rules
    judges: int | None
    """So many of the pool; None: `rules.judges` names them."""
    commentator: str | None
    task: str
    is_public: bool
    caller: Caller | None

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that it names."""
        names = [name for one in self.fighters for name in (one.model, *one.fallbacks)]
        return (*names, *self.rules.judges, *filter(None, (self.commentator,)))


class Made(Struct, frozen=True):
    """A match that can be held, and what is to be said of it."""

    match: Match
    notes: tuple[str, ...] = ()
    """A sentence each, for people."""


def new_id() -> str:
    """Ten signs of a–z and 2–7: unique, also for who has seeded his chance."""
    return "".join(_chance.choices(_SIGNS, k=10))


def wish(asked: Asked) -> Wish:
    """What can be checked at once. Raises InvalidRequest."""
    count, named = _judges(asked.judges)
    rules = Rules(
        rounds=whole("rounds", asked.rounds, 1, MOST_ROUNDS),
        turns=_one_of("turns", asked.turns, get_args(Turns)),
        max_tokens=whole("max_tokens", asked.max_tokens, 1, MOST_TOKENS),
        temperature=_temperature(asked.temperature),
        judges=named,
        budget_units=budget_units(asked.budget),
        fallback=_one_of("fallback", asked.fallback, get_args(Fallback)),
        vote_seconds=_seconds(asked.vote_seconds),
    )
    return Wish(
        kind=asked.kind,
        topic=_topic(asked),
        fighters=_fighters(asked),
        rules=rules,
        judges=count,
        commentator=_commentator(asked.commentator),
        task=_text("task", asked.task),
        is_public=arguments.flag("public", asked.public),
        caller=asked.caller,
    )


def made(house: House, said: Wish, id_: str) -> Made:
    """The match, every model of it found. May look at the disk.

    Raises UnknownModel, UnknownTask, NoWayToAnswer and whatever else a request to one of them would raise before it is sent;
    InvalidRequest where a budget cannot be kept, because a price is not known.
    """
    task = house.task(said.task).name
    fighters = tuple(_found(house, said, one, task) for one in said.fighters)
    notes: list[str] = []
    judges, unrated = _panel(house, said, fighters, notes)
    commentator = _speaker(house, said, notes)
    rules = structs.replace(said.rules, judges=judges, commentator=commentator)
    match = Match(
        id=id_,
        kind=said.kind,
        topic=said.topic,
        fighters=fighters,
        rules=rules,
        task=task,
        owner=said.caller.name if said.caller is not None else "",
        is_public=said.is_public,
        unrated=unrated,
        created=time.time_ns() // 1000,
        seed=random.getrandbits(63),
    )
    if match.is_mirror:
        notes.append("A model meets itself: that is shown, and rates nobody.")
    _check_prices(house, match, said.caller)
    return Made(match, tuple(notes))


# -- arguments -----------------------------------------------------------------------------------


def _topic(asked: Asked) -> str:
    if asked.kind == "battle":
        return topic_of("prompt", asked.topic, "Say what both are to answer.")
    return topic_of("topic", asked.topic, "Say what is to be argued about.")


def topic_of(what: str, said: object, hint: str) -> str:
    """A text that can be sent. Raises InvalidRequest."""
    topic = _text(what, said)
    if not topic.strip():
        raise InvalidRequest(f"The {what} is empty.", hint=(hint,))
    try:
        size = len(topic.encode())
    except UnicodeEncodeError as exc:
        raise InvalidRequest(
            f"The {what} holds half a character, which cannot be sent.",
            hint=("Leave out the sign that cannot be shown.",),
        ) from exc
    if size > MOST_BYTES:
        raise InvalidRequest(
            f"The {what} has {size:,} bytes, and at most {MOST_BYTES:,} are taken.", hint=("Shorten it.",)
        )
    return topic


def _fighters(asked: Asked) -> tuple[Fighter, ...]:
    said = asked.fighters
    if isinstance(said, str | Fighter):
        said = (said,)
    if not isinstance(said, Iterable) or isinstance(said, bytes | Mapping):
        raise InvalidRequest(
            f"The fighters are {said!r}, and have to be models' names or Fighters, in a list."
        )
    found = tuple(fighter(place, one) for place, one in enumerate(said))
    most = MOST_FIGHTERS if asked.kind == "debate" else 2
    if not 2 <= len(found) <= most:
        needs = f"2 to {most}" if most > 2 else "2"
        hint = "Name one more." if len(found) < 2 else "Leave some out."
        raise InvalidRequest(
            f"A {asked.kind} needs {needs} fighters, and here are {len(found)}.", hint=(hint,)
        )
    return found


def fighter(place: int, said: object) -> Fighter:
    """A fighter whose fields are what they should be. Raises InvalidRequest."""
    if isinstance(said, str):
        said = Fighter(said)
    if not isinstance(said, Fighter):
        raise InvalidRequest(f"Fighter {place + 1} is {said!r}, and has to be a model's name or a Fighter.")
    try:  # a struct's own constructor takes anything
        found = convert(structs.asdict(said), Fighter, from_attributes=True)
    except MsgspecError as exc:
        raise InvalidRequest(f"Fighter {place + 1} cannot be read: {exc}.") from exc
    if not found.model.strip() or not all(one.strip() for one in found.fallbacks):
        raise InvalidRequest(f"Fighter {place + 1} has no model.", hint=("Say which model is to argue.",))
    return found


def _judges(said: object) -> tuple[int | None, tuple[str, ...]]:
    """(How many of the pool; or None, and their names.)"""
    if isinstance(said, int) and not isinstance(said, bool):
        return whole("judges", said, 0, MOST_JUDGES), ()
    named = (said,) if isinstance(said, str) else tuple(said) if isinstance(said, list | tuple) else None
    if named is None or not all(isinstance(one, str) and one.strip() for one in named):
        raise InvalidRequest(f"judges is {said!r}, and has to be a number, or a list of models.")
    if len(named) > MOST_JUDGES:
        raise InvalidRequest(f"Here are {len(named)} judges, and at most {MOST_JUDGES} are asked.")
    if len(set(named)) < len(named):
        raise InvalidRequest("A judge is named twice.", hint=("Name each of them once.",))
    return None, named


def _commentator(said: object) -> str | None:
    return None if said is None else _text("commentator", said).strip()


def _temperature(said: object) -> float | None:
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= 2:
        raise InvalidRequest(f"temperature is {said!r}, and has to be a number from 0 to 2, or None.")
    return float(said)


def _seconds(said: object) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= MOST_SECONDS:
        raise InvalidRequest(
            f"vote_seconds is {said!r}, and has to be a number of seconds from 0 to {MOST_SECONDS:g}."
        )
    return float(said)


def budget_units(said: object, name: str = "budget") -> int | None:
    """USD as units; None: no bound. Raises InvalidRequest for a float and for what is no amount above 0."""
    try:
        return arguments.max_cost(said)
    except InvalidRequest as error:
        raise InvalidRequest(error.message.replace("max_cost", name, 1), hint=error.hint) from error


def whole(name: str, said: object, least: int, most: int) -> int:
    """A whole number within bounds. Raises InvalidRequest."""
    if isinstance(said, bool) or not isinstance(said, int) or not least <= said <= most:
        raise InvalidRequest(f"{name} is {said!r}, and has to be a whole number from {least} to {most:,}.")
    return said


def _one_of(name: str, said: object, known: tuple[Any, ...]) -> Any:
    if said not in known:
        near = nearest(str(said), known)
        hint = (f"Did you mean: {', '.join(near)}?",) if near else ()
        named = ", ".join(f'"{one}"' for one in known)
        raise InvalidRequest(f"{name} is {said!r}, and has to be one of {named}.", hint=hint)
    return said


def _text(name: str, said: object) -> str:
    if not isinstance(said, str):
        raise InvalidRequest(f"{name} is {said!r}, and has to be a text.")
    return said


# -- models --------------------------------------------------------------------------------------


def candidate(house: House, model: str, caller: Caller | None = None) -> Candidate:
    """Who would be asked under this name. Raises what a request to it would raise before it is sent."""
    return house.plan(_question(house, model, caller)).candidates[0]


def infos(house: House, match: Match, caller: Caller | None = None) -> dict[str, Model | None]:
    """What the catalogue says of a match's models, by their names in the match and by what an alias stands for.

    One that cannot be asked any more is missing: its calls will say why.
    """
    found: dict[str, Model | None] = {}
    left = list(script.models(match))
    while left:
        name = left.pop()
        if name in found:
            continue
        with suppress(ByteError):
            found[name] = info = candidate(house, name, caller).info
            if info is not None and info.alias_target:
                left.append(info.alias_target)
    return found


def _question(house: House, model: str, caller: Caller | None) -> Ask:
    return house.ask(
        "?", task="", model=model, system="", timeout=None, max_cost=None, headers=None, params={}, streamed=True,
        caller=caller,
    )  # fmt: skip


def _found(house: House, said: Wish, fighter: Fighter, task: str) -> Fighter:
    found = candidate(house, fighter.model, said.caller)
    for fallback in fighter.fallbacks:
        candidate(house, fallback, said.caller)
    target = found.info.alias_target if found.info is not None else None
    return structs.replace(fighter, sent=found.model, rated=target or found.model, name=found.name)


def _panel(
    house: House, said: Wish, fighters: tuple[Fighter, ...], notes: list[str]
) -> tuple[tuple[str, ...], str]:
    """(The judges' names: those that were named, or so many of the pool as there are of other families; why they rate nobody.)"""
    rated, kin = [one.rated for one in fighters], ""
    if said.judges is None:
        chosen = said.rules.judges
        for judge in chosen:
            if panel.kin(rated, (candidate(house, judge, said.caller).model,)):
                kin = f"The judge {judge} is of a fighter's family, so this panel rates nobody."
                notes.append(kin)
    else:
        pool = _available(house, house.config.arena.judges, said.caller) if said.judges else ()
        chosen = panel.panel(rated, pool, said.judges)
        if short := panel.shortage(chosen, said.judges, pool):
            notes.append(short)
    few = ""
    if 0 < len(chosen) < panel.LEAST:
        few = f"A panel that rates has {panel.LEAST} judges or more, so this one rates nobody."
        notes.append(few)
    return chosen, kin or few


def _available(house: House, pool: Iterable[str], caller: Caller | None) -> tuple[str, ...]:
    """The ids of those of the pool that can be asked at all: without a key nobody else's model can."""
    found = []
    for model in pool:
        try:
            one = candidate(house, model, caller)
        except CallerError:
            continue
        if one.route != "local":
            found.append(one.model)
    return tuple(found)


def _speaker(house: House, said: Wish, notes: list[str]) -> str:
    """The commentator. The one that the settings name is only wished for."""
    if said.commentator is not None:
        if said.commentator:
            candidate(house, said.commentator, said.caller)
        return said.commentator
    usual = house.config.arena.commentator
    return next(iter(_available(house, (usual,) if usual else (), said.caller)), "")


# -- money ---------------------------------------------------------------------------------------


def _check_prices(house: House, match: Match, caller: Caller | None) -> None:
    """A budget is only as good as the prices that it is kept by. Raises InvalidRequest."""
    rules = match.rules
    if rules.budget_units is None:
        return
    names = [name for one in match.fighters for name in (one.sent, *one.fallbacks)]
    for name in dict.fromkeys((*names, *rules.judges, *filter(None, (rules.commentator,)))):
        ask = structs.replace(
            _question(house, name, caller),
            params={"max_tokens": rules.max_tokens},
            max_cost_units=rules.budget_units,
        )
        if house.explain(ask).worst_units is None:
            raise InvalidRequest(
                f"The price of {name} is not known, so no budget of ${to_text(rules.budget_units)} can be kept with it.",
                hint=("Choose another model, or leave out the budget.",),
            )


def more(said: Decimal | str) -> int:
    """An amount that is allowed on top. Raises InvalidRequest."""
    units = budget_units(said, "amount")
    if units is None:
        raise InvalidRequest("amount is None, and has to be an amount in USD above 0.")
    return units
