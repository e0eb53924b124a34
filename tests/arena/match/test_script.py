"""What each of them is asked: whose words stand where, and which fields go along."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from arena_scripts import Answer, broken, events, favouring, match
from bytedeck.arena.judges import judging
from bytedeck.arena.match import script
from bytedeck.arena.match.referee import Assess, Referee, Speak, Step
from bytedeck.arena.match.script import Call
from bytedeck.arena.types import Fighter, Look, Match, Persona
from bytedeck.types import Model


def calls(of: Match, *failing: str) -> dict[str, Call]:
    """All calls of a match by their part."""
    found: dict[str, Call] = {}
    well = favouring(0)

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        found[step.part] = call
        return broken() if step.part in failing else well(referee, step, call)

    list(events(of, play))
    return found


def plain(call: Call) -> list[tuple[str, str]]:
    """Roles and texts, without the marks."""
    return [
        (one["role"], re.sub(r"(</?quoted) [0-9a-f]{10}", r"\1", one["content"])) for one in call.messages
    ]


def quoted(call: Call) -> list[tuple[str, str]]:
    """The label and the text of each block, in order."""
    whole = "\n".join(text for role, text in plain(call) if role == "user")
    return re.findall(r"<quoted: ([^\n]*)>\n(.*?)\n</quoted>", whole, re.DOTALL)


def test_an_opening() -> None:
    """The topic and the stances, the ones that nobody has said as well; nothing of the others."""
    call = calls(match("a/x", "b/y", "c/z"))["t0.0.2"]
    assert call.models == ("c/z",)
    assert [role for role, _ in plain(call)] == ["system", "user"]
    assert quoted(call) == [
        ("the topic", "Tea or coffee?"),
        ("the stance of Side 1", script._STANCES[0]),
        ("the stance of Side 2", script._STANCES[1]),
        ("your stance", "A view of its own, which differs from those of the others."),
    ]
    assert "You are Side 3 of 3" in plain(call)[0][1]
    assert "under 300 words" in plain(call)[0][1]
    assert plain(call)[1][1].endswith("Give your opening now: your position and the best reasons for it.")


def test_ones_own_words_are_ones_own_and_the_others_are_quoted() -> None:
    """Simultaneous: what was said in earlier rounds, never what is said in the same one."""
    told = plain(calls(match(rounds=3))["t0.2.1"])
    assert [role for role, _ in told] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [text for role, text in told if role == "assistant"] == [
        "Words of 1 in round 0.",
        "Words of 1 in round 1.",
    ]
    assert "<quoted: the other side, opening>\nWords of 0 in round 0.\n</quoted>" in told[3][1]
    assert "<quoted: the other side, rebuttal>\nWords of 0 in round 1.\n</quoted>" in told[5][1]
    assert "round 2" not in str(told)
    assert told[5][1].endswith("why your position is the better one.")


def test_in_turns_the_second_has_heard_the_first() -> None:
    """And the second leg begins anew, the other way round."""
    found = calls(match(turns="alternating"))
    assert ("the other side, opening", "Words of 0 in round 0.") in quoted(found["t0.0.1"])
    assert len(plain(found["t1.0.1"])) == 2
    assert "Words" not in str(plain(found["t1.0.1"]))
    assert ("the other side, opening", "Words of 1 in round 0.") in quoted(found["t1.0.0"])


def test_two_know_no_numbers() -> None:
    """What they are not told they do not write, in no language; of more than two each has its own."""
    two, three = calls(match(rounds=3)), calls(match("a/x", "b/y", "c/z"))
    assert all("Side" not in str(plain(call)) for part, call in two.items() if part.startswith("t"))
    assert ("Side 3, opening", "Words of 2 in round 0.") in quoted(three["t0.1.0"])


def test_after_a_failed_turn_no_user_turn_follows_another() -> None:
    """What the others said since stands in one message."""
    told = plain(calls(match(rounds=3), "t0.0.0")["t0.1.0"])
    assert [role for role, _ in told] == ["system", "user"]
    assert "Words of 1 in round 0." in told[1][1]


def test_a_persona_is_told_to_who_plays_it_only() -> None:
    fighters = (Fighter("a/x", persona=Persona(name="Ada", style="You count.")), Fighter("b/y"))
    found = calls(replace(match(commentator="c/c"), fighters=fighters))
    assert "You speak as Ada, and stay in this role. You count." in plain(found["t0.0.0"])[0][1]
    for part in found.keys() - {"t0.0.0", "t0.1.0", "comment"}:
        assert "Ada" not in str(found[part])
        assert "You count." not in str(found[part])
    assert "Side 1: Ada" in quoted(found["comment"])[1][1]


def test_a_battle_is_asked_as_anybody_would_ask() -> None:
    """The prompt as it is, with the task that goes along."""
    found = calls(match(kind="battle"))
    assert plain(found["t0.0.0"]) == [("user", "Tea or coffee?")]
    assert found["t0.0.0"].task == "general"
    assert quoted(found["j0.0.p"])[0] == ("the prompt", "Tea or coffee?")


def test_a_judge_sees_sides() -> None:
    """In their order, or reversed: the numbers and, where all spoke at once, the places."""
    found = calls(match())
    assert found["j1.0.p"].models == ("two/judge",)
    for part, first in (("j1.0.p", 0), ("j1.0.s", 1)):
        texts = [text for label, text in quoted(found[part]) if "round" in label]
        labels = [label for label, _ in quoted(found[part]) if "round" in label]
        assert texts == [f"Words of {place} in round {r}." for r in (0, 1) for place in (first, 1 - first)]
        assert labels == [
            f"Side {side}, round {r + 1}, {phase}"
            for r, phase in ((0, "opening"), (1, "closing"))
            for side in (1, 2)
        ]
        stances = [text for label, text in quoted(found[part]) if "stance" in label]
        assert stances == [script._STANCES[0], script._STANCES[1]][:: 1 if first == 0 else -1]
        assert "a/x" not in str(found[part])
        assert "b/y" not in str(found[part])


def test_a_judge_sees_a_leg_as_it_was_held() -> None:
    """Who spoke first stands first, whatever its number."""
    found = calls(match(turns="alternating", rounds=1))
    said = {part: [label[:6] for label, text in quoted(found[part]) if "round" in label] for part in found}
    assert said["j0.0.p"] == ["Side 1", "Side 2"]
    assert said["j0.0.s"] == ["Side 2", "Side 1"]
    assert said["j0.1.p"] == ["Side 2", "Side 1"]
    assert said["j0.1.s"] == ["Side 1", "Side 2"]


def test_names_of_personas_are_hidden_from_judges() -> None:
    """Whole words only, and longer names first."""
    fighters = (
        Fighter("a/x", persona=Persona(name="Ada")),
        Fighter("b/y", persona=Persona(name="Ada Byron"), stance="Adamant, against Ada."),
    )
    case = str(calls(replace(match(), fighters=fighters))["j0.0.s"].messages)
    assert "Adamant, against Side 2." in case
    blind = script._blind(replace(match(), fighters=fighters), (1, 0))
    assert blind("Ada Byron, Ada's and Adaptive") == "Side 1, Side 2's and Adaptive"


def test_a_name_of_two_points_at_neither() -> None:
    """Else the praise of one would be the other's."""
    fighters = tuple(Fighter(model, persona=Persona(name="Ada")) for model in ("a/x", "b/y"))
    blind = script._blind(replace(match(), fighters=fighters), (0, 1))
    assert blind("I, Ada, say so.") == "I, a side, say so."


def said_to_a_judge(of: Match, part: str, words: str) -> dict[str, str]:
    """By side what a judge is shown, where each fighter says these words with its own number in them."""
    found: list[tuple[str, str]] = []
    well = favouring(0)

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        if step.part == part:
            found.extend(quoted(call))
        if isinstance(step, Speak):
            return words.format(own=step.turn.fighter + 1)
        return well(referee, step, call)

    list(events(of, play))
    return {label[:6]: text for label, text in found if "round" in label}


@pytest.mark.parametrize("way", ["p", "s"])
def test_what_one_of_three_says_of_another_is_of_that_one(way: str) -> None:
    """However the judge is shown them: the fighters know each other by other numbers than it does."""
    of = match("a/x", "b/y", "c/z", rounds=1)
    order = judging.shown(of, Look(1, 0, way == "s"))
    first, second = order.index(0) + 1, order.index(1) + 1
    assert said_to_a_judge(of, f"j1.0.{way}", "I am Side {own}, and side 1 is not side_2.") == {
        f"Side {n}": f"I am Side {n}, and side {first} is not side_{second}." for n in (1, 2, 3)
    }


@pytest.mark.parametrize("kind", ["debate", "battle"])
def test_the_sides_of_a_triangle_stay(kind: str) -> None:
    """Two know no numbers, and so mean none."""
    words = "Side 1 is longer than side 2."
    told = said_to_a_judge(match(kind=kind, rounds=1), "j0.0.s", words)
    assert told == {"Side 1": words, "Side 2": words}


def test_a_persona_without_a_name_hides_nothing() -> None:
    fighters = (Fighter("a/x", persona=Persona(name=" ")), Fighter("b/y"))
    case = str(calls(replace(match(), fighters=fighters))["j0.0.p"].messages)
    assert "Words of 0 in round 0." in case


def test_a_side_that_could_not_speak_is_said_to_be_silent() -> None:
    case = plain(calls(match(), "t0.0.0")["j0.0.p"])[1][1]
    assert "(Side 1, round 1, opening: could not speak.)" in case
    assert "Words of 0 in round 1." in case


def test_a_judge_that_is_asked_once_more_is_told_so() -> None:
    found = calls(match(), "j0.0.p")
    assert plain(found["j0.0.p.2"])[1][1].endswith(
        "You gave none when you were asked before: keep to the form."
    )


def test_the_commentator_knows_how_it_came_out() -> None:
    """Names, words, reasons, the winner."""
    call = calls(match(commentator="c/c"))["comment"]
    assert ("a judge's reason", "Side 1 was heard first.") in quoted(call)
    assert "The judges say that Side 1 won." in plain(call)[1][1]
    assert "Nobody has decided" in plain(calls(match(commentator="c/c", judges=()))["comment"])[1][1]


TAKES = frozenset({"temperature", "max_tokens", "reasoning", "structured_outputs", "response_format"})


def info(takes: frozenset[str] | None = TAKES, **fields: Any) -> Model:
    return Model(id=fields.pop("id", "a/x"), name="X", supported_parameters=takes, **fields)


PARAMS = [
    (None, {"temperature": 0.8, "max_tokens": 500, "reasoning": {"enabled": False}}),
    (info(), {"temperature": 0.8, "max_tokens": 500, "reasoning": {"enabled": False}}),
    (info(TAKES - {"reasoning"}), {"temperature": 0.8, "max_tokens": 500}),
    (info(TAKES - {"temperature"}), {"max_tokens": 500, "reasoning": {"enabled": False}}),
    (
        info(reasoning_mandatory=True),
        {"temperature": 0.8, "max_tokens": 500 + script.THINKING, "reasoning": {"effort": "minimal"}},
    ),
    (info(reasoning_mandatory=True, max_completion_tokens=2_000), {"temperature": 0.8, "max_tokens": 2_000, "reasoning": {"effort": "minimal"}}),
    (info(frozenset({"max_completion_tokens"})), {"max_completion_tokens": 500}),
    (info(None, id="local/small"), {"temperature": 0.8, "max_tokens": 500}),
]  # fmt: skip


@pytest.mark.parametrize(("known", "wanted"), PARAMS)
def test_fields(known: Model | None, wanted: dict[str, Any]) -> None:
    """Only what the model takes; thinking off, or else on top of the text's tokens."""
    referee = Referee(match())
    assert script.call(referee, referee.due()[0], {"a/x": known}).params == wanted


def test_in_a_battle_models_think_as_they_do() -> None:
    """On top of the text's tokens, too."""
    referee = Referee(match(kind="battle"))
    found = script.call(referee, referee.due()[0], {"a/x": info()}).params
    assert found == {"temperature": 0.8, "max_tokens": 500 + script.THINKING}


def test_of_an_alias_what_it_stands_for_counts() -> None:
    """The alias' own entry may know nothing."""
    infos = {"a/x": info(alias_target="a/x-5"), "a/x-5": info(reasoning_mandatory=True)}
    referee = Referee(match())
    assert script.call(referee, referee.due()[0], infos).params["reasoning"] == {"effort": "minimal"}


FORMATS = [
    (info(), "json_schema"),
    (info(TAKES - {"structured_outputs"}), "json_object"),
    (info(frozenset()), None),
    (None, None),
    (info(None, id="local/small"), "json_schema"),
]


@pytest.mark.parametrize(("known", "wanted"), FORMATS)
def test_a_verdict_is_asked_for_in_a_form(known: Model | None, wanted: str | None) -> None:
    """As strictly as the model takes it, and always in words."""
    referee = Referee(match())
    call = script.call(referee, Assess(Look(0, 0, False)), {"one/judge": known})
    found = call.params.get("response_format")
    assert (found and found["type"]) == wanted
    assert '"places": {"side_1": n, "side_2": n}' in call.messages[0]["content"]
    assert call.params["max_tokens"] >= 700


def test_every_model_is_known_by_name() -> None:
    fighters = (Fighter("a/x", fallbacks=("d/d",)), Fighter("b/y"))
    of = replace(match(judges=("j/j",), commentator="c/c"), fighters=fighters)
    assert tuple(script.models(of)) == ("a/x", "d/d", "b/y", "j/j", "c/c")


def test_a_chain_goes_on_for_a_fighter() -> None:
    fighters = (Fighter("a/x", fallbacks=("d/d",)), Fighter("b/y"))
    referee = Referee(replace(match(), fighters=fighters))
    step = referee.due()[0]
    assert isinstance(step, Speak)
    assert script.call(referee, step, {}).models == ("a/x", "d/d")
