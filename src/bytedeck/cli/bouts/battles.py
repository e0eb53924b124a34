"""Battles at the terminal: shown blind and voted on, or held by the dozen before judges."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec import Struct

from ...arena.show.text import money, one_line
from ...client import Hub
from ...errors import InvalidRequest
from .. import tell
from .bout import Bout
from .fight import judges, said

if TYPE_CHECKING:
    from ...league.tournament.field import Progress

_EXAMPLE = 'byte arena battle "Explain recursion to a child"'


class Given(Struct, frozen=True, kw_only=True):
    """The options of `byte arena battle` as they were given."""

    words: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    task: str = "general"
    file: str | None = None
    judges: str = "0"
    max_tokens: int = 500
    budget: str | None = None
    votes: bool | None = None
    json_: bool = False


def battle(given: Given) -> int:
    """The whole of `byte arena battle`; the exit code of the first battle that did not end well, else 0."""
    if given.file is not None and given.words:
        raise InvalidRequest(
            "Here are a prompt and a file of prompts.", hint=("Give one of them: the words, or --file FILE",)
        )
    prompts = _prompts(given.file) if given.file is not None else [said(given.words, _EXAMPLE, "prompt")]
    with Hub() as hub:
        for warning in hub.warnings:
            tell.warn(warning)
        for place, prompt in enumerate(prompts, start=1):
            if len(prompts) > 1:
                tell.say(f"Battle {place} of {len(prompts)}", bold=True)
            if code := _one(hub, given, prompt):
                return code
    return 0


def _one(hub: Hub, given: Given, prompt: str) -> int:
    debate = hub.battle(
        prompt,
        _pair(hub, given),
        task=given.task,
        judges=judges(given.judges),
        max_tokens=given.max_tokens,
        budget=given.budget,
    )
    return Bout(hub, debate, json_=given.json_, votes=given.votes, hidden=True).hold()


def _pair(hub: Hub, given: Given) -> list[str]:
    """Who fights, in an order that tells nothing."""
    models = list(given.models)
    if not models:
        found = hub.arena.next(given.task, 1)[0]
        models = [found.first, found.second]
    if len(models) != 2:
        raise InvalidRequest(
            f"A battle needs two models; named here: {len(models)}.",
            hint=("Name both: -m A -m B, or none: then the pair is chosen that tells most.",),
        )
    random.shuffle(models)
    return models


def _prompts(file: str) -> list[str]:
    """Those of a file, or of a pipe. Raises InvalidRequest."""
    from ...league.tournament.reading import parted, prompts

    if file != "-":
        return list(prompts(file))
    from ..prompt import decoded, piped

    found = parted(decoded(piped(), "The standard input"))
    if not found:
        raise InvalidRequest("Nothing is piped in.", hint=("Write a prompt in each line.",))
    return list(found)


class Running(Struct, frozen=True, kw_only=True):
    """The options of `byte arena run` as they were given."""

    file: str
    battles: int = 20
    budget: str | None = None
    task: str = "general"
    models: tuple[str, ...] = ()
    judges: str = "3"
    max_tokens: int = 500
    at_once: int = 2
    aim: str = "best"
    json_: bool = False


def run(given: Running) -> int:
    """The whole of `byte arena run`; returns the exit code."""
    with Hub() as hub:
        for warning in hub.warnings:
            tell.warn(warning)
        held = hub.arena.run(
            _prompts(given.file),
            task=given.task,
            models=given.models,
            battles=given.battles,
            budget=given.budget,
            judges=judges(given.judges),
            max_tokens=given.max_tokens,
            at_once=given.at_once,
            aim=given.aim,
        )
        count = 0
        try:
            for count, progress in enumerate(held, start=1):
                _tell(progress, count, given)
        except KeyboardInterrupt:
            tell.say(f"Stopped after {count} battles. What was cut off: byte arena list", dim=True)
            raise
    tell.say(f"What they say: byte arena board -t {given.task}", dim=True)
    return 0


def _tell(progress: Progress, count: int, given: Running) -> None:
    """`  3 of 20  Claude Sonnet beat GPT  $0.0041, $0.0121 of $2 spent`."""
    if given.json_:
        import msgspec

        tell.out(msgspec.json.encode(progress).decode())
        return
    first, second = one_line(progress.first, 40), one_line(progress.second, 40)
    cost = "cost not known yet" if progress.cost_units is None else money(progress.cost_units)
    if progress.budget_units is not None:
        cost += f", {money(progress.spent_units)} of {money(progress.budget_units)} spent"
    place = f"{count:>{len(str(progress.of))}} of {progress.of}"
    tell.out(f"{place}  {_OUTCOMES.get(progress.score, _SAYS_NOTHING).format(first, second)}  {cost}")
    if progress.note:
        tell.say(f"  {one_line(progress.note, 400)}", dim=True)


_SAYS_NOTHING = "{} – {}: says nothing"
_OUTCOMES: dict[float | None, str] = {1.0: "{} beat {}", 0.0: "{} lost to {}", 0.5: "{} and {}: a tie"}
