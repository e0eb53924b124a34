"""What a judge is asked, and what its answer means.

It is blind: it sees sides by numbers, no models and no personas. It scores each round by the rubric before it places the
sides, as JSON. Raises ValueError, a sentence for people, for an answer that is no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from ..match import quote, schedule
from ..types import Look, Match, Scores, Verdict

RUBRIC: dict[str, str] = {
    "evidence": "facts, examples and sources that could be checked; a bare claim is worth little",
    "reasoning": "conclusions that follow, without fallacies",
    "rebuttal": "answers to the strongest points of the others; in the first round, to what could be said against it",
    "clarity": "order and plain words; length, formatting and confidence are worth nothing by themselves",
}
ANSWERS: dict[str, str] = RUBRIC | {
    "evidence": "correctness: what is said is true and could be checked",
    "rebuttal": "how fully it does what the prompt asks for",
}
"""The same four for a battle, where nobody answers anybody."""
LOWEST, HIGHEST = 1, 10
_Score = Annotated[int, msgspec.Meta(ge=LOWEST, le=HIGHEST)]
_LONGEST_REASON = 2_000
_FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)```", re.DOTALL)
_SIDE = re.compile(r"\b(side[ _]?)([1-4])\b", re.IGNORECASE)


def shown(match: Match, look: Look) -> tuple[int, ...]:
    """The fighters' places in the order of the sides' numbers: Side 1 first.

    Reversing leaves the middle one of three where it is, so where there are more than two each judge begins elsewhere.
    """
    places = tuple(range(len(match.fighters)))
    if len(places) > 2:
        first = (match.seed + look.judge) % len(places)
        places = places[first:] + places[:first]
    return places[::-1] if look.is_swapped else places


def rubric(match: Match) -> str:
    """What is scored, a line each."""
    rows = ANSWERS if match.kind == "battle" else RUBRIC
    return "\n".join(f"- {name}: {meaning}" for name, meaning in rows.items())


def rounds(match: Match) -> int:
    """How many rounds one look is at."""
    return len(schedule.rounds(match)) // match.legs


def schema(match: Match) -> dict[str, Any]:
    """The JSON schema of a verdict, in what strict structured output knows everywhere: no bounds but enums."""
    points = {"type": "integer", "enum": list(range(LOWEST, HIGHEST + 1))}
    places = {"type": "integer", "enum": list(range(1, len(match.fighters) + 1))}
    scores = _object(dict.fromkeys(Scores.__struct_fields__, points))
    sides = _sides(match)
    numbered = _object(dict.fromkeys(sides, scores))
    return _object(
        {
            "reason": {"type": "string"},
            "rounds": _object({_round(number): numbered for number in range(rounds(match))}),
            "places": _object(dict.fromkeys(sides, places)),
        }
    )


def form(match: Match) -> str:
    """The same form in words, for models that take no schema."""
    scores = "{" + ", ".join(f'"{name}": n' for name in Scores.__struct_fields__) + "}"
    sides = ", ".join(f'"{side}": {scores}' for side in _sides(match))
    each = ", ".join(f'"{_round(number)}": {{{sides}}}' for number in range(rounds(match)))
    places = ", ".join(f'"{side}": n' for side in _sides(match))
    return f'{{"reason": "…", "rounds": {{{each}}}, "places": {{{places}}}}}'


def read(text: str, match: Match, look: Look) -> Verdict:
    """A judge's answer as a verdict on the fighters in their order, however they were shown.

    The JSON may stand in a fenced block or among other words; two different verdicts in one answer are none.
    """
    found = list(dict.fromkeys(_verdicts(quote.clean(text), match, look)))
    if not found:
        raise ValueError("The answer holds no verdict in the form that was asked for.")
    if len(found) > 1:
        raise ValueError("The answer holds more than one verdict, and they differ.")
    return found[0]


class _Points(msgspec.Struct):
    """`Scores` as a judge says them: whole numbers in their range, and nothing that is merely taken for one."""

    evidence: _Score
    reasoning: _Score
    rebuttal: _Score
    clarity: _Score


class _Said(msgspec.Struct):
    rounds: dict[str, dict[str, _Points]]
    places: dict[str, int]
    reason: str = ""


_decode = msgspec.json.Decoder(_Said).decode


def _verdicts(text: str, match: Match, look: Look) -> Iterator[Verdict]:
    """What can be read: the whole text, or else its fenced blocks, or else what stands between its outermost braces."""
    braces = text[text.find("{") : text.rfind("}") + 1]
    for candidates in ([text.strip()], _FENCED.findall(text), [braces]):
        verdicts = [one for each in candidates if (one := _verdict(each, match, look)) is not None]
        yield from verdicts
        if verdicts:
            return


def _verdict(text: str, match: Match, look: Look) -> Verdict | None:
    order, sides = shown(match, look), _sides(match)
    try:
        said = _decode(text)
        rows = [said.rounds[_round(number)] for number in range(rounds(match))]
        scores = tuple(_ordered(order, [_scores(row[side]) for side in sides]) for row in rows)
        places = _ordered(order, [said.places[side] for side in sides])
    except (msgspec.MsgspecError, KeyError, RecursionError):
        return None
    if not all(1 <= place <= len(sides) for place in places):
        return None
    reason = renumbered(
        quote.clean(said.reason)[:_LONGEST_REASON], {n: place + 1 for n, place in enumerate(order, 1)}
    )
    return Verdict(places=_ranks(places), scores=scores, reason=reason)


def _scores(said: _Points) -> Scores:
    return Scores(said.evidence, said.reasoning, said.rebuttal, said.clarity)


def _ordered(order: tuple[int, ...], by_side: list[Any]) -> tuple[Any, ...]:
    """By fighter what was said by side."""
    return tuple(by_side[order.index(place)] for place in range(len(order)))


def _ranks(places: tuple[int, ...]) -> tuple[int, ...]:
    """Competition ranking: 1, 1, 3. Whoever places two sides on 2 has said that they are equal."""
    return tuple(1 + sum(other < place for other in places) for place in places)


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with other numbers of the sides that it names; a number that is not among `numbers` stays.

    Judges see sides in orders of their own: what they say goes back by this, and what fighters say of each other comes to
    them by it.
    """
    return _SIDE.sub(lambda found: f"{found[1]}{numbers.get(int(found[2]), found[2])}", text)


def _sides(match: Match) -> list[str]:
    return [f"side_{number + 1}" for number in range(len(match.fighters))]


def _round(number: int) -> str:
    return f"round_{number + 1}"


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
