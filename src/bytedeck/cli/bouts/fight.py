"""`byte debate` made into what the library takes: who argues, as whom, before which judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ...arena.judges.panel import panel
from ...arena.types import Fallback, Fighter, Persona, Turns
from ...client import Hub
from ...errors import InvalidRequest
from .. import tell
from .bout import Bout

if TYPE_CHECKING:
    from ...config import Config

_NOBODY = ("none", "nobody", "no", "")


class Given(Struct, frozen=True, kw_only=True):
    """The options as they were given."""

    words: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    stances: tuple[str, ...] = ()
    personas: str | None = None
    rounds: int = 3
    turns: Turns = "simultaneous"
    judges: str = "3"
    commentator: str | None = None
    budget: str | None = None
    max_tokens: int = 500
    task: str = "general"
    fallback: Fallback = "void"
    votes: bool | None = None
    public: bool = False
    json_: bool = False


def fight(given: Given) -> int:
    """The whole of `byte debate`; returns the exit code. Raises what `exits` knows."""
    topic = said(given.words, 'byte debate "Is tea better than coffee?"')
    with Hub() as hub:
        for warning in hub.warnings:
            tell.warn(warning)
        debate = hub.debate(
            topic,
            fighters(hub, given, topic),
            rounds=given.rounds,
            turns=given.turns,
            max_tokens=given.max_tokens,
            judges=judges(given.judges),
            commentator="" if (given.commentator or "x").lower() in _NOBODY else given.commentator,
            budget=given.budget,
            task=given.task,
            fallback=given.fallback,
            public=given.public,
        )
        return Bout(hub, debate, json_=given.json_, votes=given.votes).hold()


def said(words: Sequence[str], example: str, what: str = "topic") -> str:
    """What is piped in, and the words of the command line. Raises InvalidRequest where there is nothing."""
    from .. import prompt

    text = prompt.joined(tuple(words), prompt.piped())
    if not text.strip():
        raise InvalidRequest(f"There is no {what}.", hint=(f"Say what it is about: {example}",))
    return text


def judges(text: str) -> int | list[str]:
    """`3`, or models with commas between."""
    told = text.strip()
    if told.lower() in _NOBODY:
        return 0
    return int(told) if told.isascii() and told.removeprefix("-").isdecimal() else _list(told)


def fighters(hub: Hub, given: Given, topic: str) -> list[Fighter]:
    """Who argues. Raises InvalidRequest for more stances or personas than fighters, and a persona that nobody knows."""
    played = personas(hub.house.config, given.personas or "")
    models = list(given.models)
    if len(models) == 1 and len(played) > 1:
        models *= len(played)  # one model that plays them all
    if not models:
        models = opponents(hub, given.task, topic)
    found = [Fighter(one) for one in models]
    for what, listed in (("stances", given.stances), ("personas", played)):
        if len(listed) > len(found):
            raise InvalidRequest(
                f"Here are {len(listed)} {what} for {len(found)} fighters.",
                hint=("Name a model for each: -m MODEL",),
            )
    for place, stance in enumerate(given.stances):
        found[place] = replace(found[place], stance=stance)
    for place, persona in enumerate(played):
        found[place] = replace(found[place], persona=persona)
    return found


def personas(config: Config, names: str) -> list[Persona]:
    """By their names in the settings, with commas between. Raises InvalidRequest."""
    from ...config import nearest

    found = []
    for name in _list(names):
        table = config.arena.personas.get(name.lower())
        if table is None:
            near = nearest(name, config.arena.personas)
            hint = f"Did you mean: {', '.join(near)}?" if near else "All that there are: byte arena personas"
            raise InvalidRequest(f"There is no persona {name!r}.", hint=(hint,))
        found.append(Persona(**table))
    return found


def opponents(hub: Hub, task: str, topic: str) -> list[str]:
    """Two of the task's models, of different families where there are such; says which."""
    asked = hub.house.ask(
        topic, task=task, model="", system="", timeout=None, max_cost=None, headers=None, params={}, streamed=True
    )  # fmt: skip
    plan = hub.house.plan(asked)
    named = {one.model: one.name for one in plan.candidates}
    first, *others = named
    second = (*panel([first], others, 1), *others, first)[0]
    names = f"{named[first]} and {named[second]}"
    tell.note(f"no -m, so two of the task {plan.task or task} argue: {names}.")
    return [first, second]


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
