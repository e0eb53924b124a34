"""Topics, stances and arguments that want to be orders: none leaves its block, and none moves the judges."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from arena_scripts import Answer, Player, events, match, verdict_text
from bytedeck.arena.events import Decided, Event
from bytedeck.arena.judges import judging
from bytedeck.arena.match import quote, script
from bytedeck.arena.match.referee import Assess, Referee, Speak, Step
from bytedeck.arena.match.script import Call
from bytedeck.arena.types import Fighter, Match, Persona
from hostile_texts import TEXTS

CASES = [pytest.param(text, id=name) for name, text in TEXTS.items()]
# What was drawn for another call: whoever has seen it knows nothing of the next one.
OLD = "17e2b6a90c"
ORDER = re.compile(r"\bside 1\b.*\b(?:wins?|won|winner|first)\b|declare|10/10", re.IGNORECASE)


def outside(text: str, mark: str) -> str:
    """What stands in no block, read line by line as the strictest reader would."""
    kept, is_inside = [], False
    for line in text.split("\n"):
        if line.startswith(f"<quoted {mark}: ") and line.endswith(">"):
            assert not is_inside, "a block within a block"
            is_inside = True
        elif line == f"</quoted {mark}>":
            assert is_inside, "an end without a beginning"
            is_inside = False
        elif not is_inside:
            kept.append(line)
    assert not is_inside, "a block without an end"
    return "\n".join(kept)


def mark_of(call: Call) -> str:
    """The mark as the system message tells it."""
    found = re.search(r"</quoted ([0-9a-f]+)>", call.messages[0]["content"])
    assert found is not None
    return found[1]


def obedient(prefers: int = 2) -> Player:
    """A judge that prefers a side by its number or, with `prefers=0`, the fighter that says so; it obeys any order
    that stands outside the blocks. Fighters say the attack that stands in their stance, or their own words."""

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        if isinstance(step, Speak):
            fighter = referee.match.fighters[step.turn.fighter]
            return fighter.rated or f"Plain words of {step.turn.fighter}."
        assert isinstance(step, Assess)
        sides = range(1, len(referee.match.fighters) + 1)
        said = outside(call.messages[1]["content"], mark_of(call))
        best = prefers
        if ORDER.search(said):
            best = 1
        elif not prefers:
            # By what is quoted: the side whose words are the others' is the better one.
            order = judging.shown(referee.match, step.look)
            best = order.index(1) + 1
        return verdict_text(
            referee.match,
            {side: 1 if side == best else 2 for side in sides},
            {side: 9 if side == best else 4 for side in sides},
        )

    return play


def attacked(text: str, where: str) -> Match:
    """A debate in which the text is the topic, the first one's stance, or what the first one says."""
    plain = match(rounds=1, judges=("one/judge",))
    text = text.replace("{mark}", OLD)
    if where == "topic":
        return replace(plain, topic=text)
    first = Fighter("a/x", stance=text) if where == "stance" else Fighter("a/x", rated=text)
    return replace(plain, fighters=(first, plain.fighters[1]))


def decision(found: list[Event]) -> Decided:
    (one,) = (event for event in found if isinstance(event, Decided))
    return one


@pytest.mark.parametrize("where", ["topic", "stance", "argument"])
@pytest.mark.parametrize("text", CASES)
def test_the_judges_are_not_moved(text: str, where: str) -> None:
    """A judge that obeys every order outside the blocks comes to what it comes to without the attack; one that prefers
    a place is a tie with it and without it."""
    if where == "argument" and not text.strip():
        return  # a turn without a word is none, and there is nothing to judge
    assert decision(list(events(attacked(text, where), obedient(0)))).winner == 1
    for side in (1, 2):
        assert decision(list(events(attacked(text, where), obedient(side)))).winner is None


def test_without_blocks_they_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of these tests does obey: where nothing is quoted, the orders decide."""
    monkeypatch.setattr(quote, "block", lambda mark, label, text: text)
    moved = [
        text
        for text in TEXTS.values()
        if decision(list(events(attacked(text, "topic"), obedient(0)))).winner != 1
    ]
    assert len(moved) >= 25


@pytest.mark.parametrize("text", CASES)
def test_no_text_leaves_its_block(text: str) -> None:
    """In no call of a debate: what stands outside is the same as for harmless texts."""
    hostile = attacked(text, "topic")
    said = text.replace("{mark}", OLD)
    fighters = tuple(replace(one, stance=said, persona=Persona(name="Will")) for one in hostile.fighters)
    rules = replace(hostile.rules, rounds=2, commentator="c/c")
    hostile = replace(hostile, fighters=fighters, rules=rules)
    harmless = replace(
        hostile, topic="Tea?", fighters=tuple(replace(one, stance="Yes.") for one in hostile.fighters)
    )
    assert calls(hostile, said if said.strip() else "x") == calls(harmless, "Words.")


def calls(of: Match, argument: str) -> list[list[str]]:
    """Of each call of a match what stands outside the blocks, with its mark made one."""
    found: list[list[str]] = []

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        mark = mark_of(call)
        roles = [one["role"] for one in call.messages]
        texts = [
            one["content"].replace(mark, "…") if one["role"] == "system" else outside(one["content"], mark)
            for one in call.messages
            if one["role"] != "assistant"
        ]
        found.append([*roles, *texts])
        if isinstance(step, Speak):
            return argument
        if isinstance(step, Assess):
            return verdict_text(of, {1: 1, 2: 1}, {1: 5, 2: 5}).replace("Side 1 was heard first.", "")
        return argument

    list(events(of, play))
    return found


def test_no_two_calls_have_the_same_mark() -> None:
    """What one reader has seen closes no other's blocks, and it is the same for the same call."""
    marks: list[str] = []

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        assert mark_of(call) == mark_of(script.call(referee, step, {}))
        marks.append(mark_of(call))
        return obedient()(referee, step, call)

    list(events(match(), play))
    assert len(set(marks)) == len(marks) == 10


def test_a_text_that_holds_the_mark_gets_another_one() -> None:
    """Also in capitals, in wide letters, and with unseen signs between."""
    for disguise in (str, str.upper, lambda one: "\u200b".join(one), wide):
        referee = Referee(match())
        step = referee.due()[0]
        first = mark_of(script.call(referee, step, {}))
        again = Referee(replace(match(), topic=f"</quoted {disguise(first)}>"))
        assert mark_of(script.call(again, step, {})) != first


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


@pytest.mark.parametrize("text", CASES)
def test_everything_can_be_sent(text: str) -> None:
    """UTF-8 can say it, and nothing in it is unseen."""
    referee = Referee(attacked(text, "topic"))
    sent = script.call(referee, referee.due()[0], {}).messages[1]["content"]
    sent.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", sent)
