"""Races in virtual time: every interleaving of two attempts with faults, and leaving at every turn."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from answers import chunk, sse
from bytedeck.call.race import Finish, Runner, race
from bytedeck.call.steps import Abandoned, Data, Outcome, Settle, Wait
from bytedeck.errors import NoWayToAnswer
from racers import Racer, Told, judge, runner
from world import Act, Leg, World

COMMENT = b": OPENROUTER PROCESSING\n\n"
ROLE = sse(chunk({"role": "assistant", "content": ""}))
END = sse(chunk({"content": ""}, finish="stop"), "[DONE]")


def stream(leg: int) -> tuple[bytes, ...]:
    """Two comments, two words that name the leg, the end."""
    words = [sse(chunk({"content": f"{word} {leg} "})) for word in ("one", "two")]
    return (COMMENT, COMMENT, *words, END)


TEXTS = {leg: f"one {leg} two {leg} " for leg in (1, 2, 3)}

# How an attempt may go: what to change of a good one, whether it speaks, and whether it then is whole.
WAYS: dict[str, tuple[Callable[[tuple[bytes, ...]], dict[str, Any]], bool, bool]] = {
    "whole": (lambda whole: {"pieces": whole}, True, True),
    "refused by a limit": (lambda whole: {"pieces": whole, "begin": "over_limit"}, False, False),
    "no store": (lambda whole: {"pieces": whole, "begin": "broken"}, False, False),
    "slow store": (lambda whole: {"pieces": whole, "begin": "slow"}, False, False),
    "no connection": (lambda whole: {"end": "refused"}, False, False),
    "lost": (lambda whole: {"end": "lost"}, False, False),
    "silent": (lambda whole: {"end": "silent"}, False, False),
    "error of ours": (lambda whole: {"end": "raises"}, False, False),
    "status": (lambda whole: {"pieces": (b"{}",), "status": 503}, False, False),
    "ends early": (lambda whole: {"pieces": whole[:1]}, False, False),
    "breaks early": (lambda whole: {"pieces": whole[:1], "end": "reset"}, False, False),
    "stalls early": (lambda whole: {"pieces": whole[:1], "end": "stall"}, False, False),
    "breaks late": (lambda whole: {"pieces": whole[:3], "end": "reset"}, True, False),
    "stalls late": (lambda whole: {"pieces": whole[:3], "end": "stall"}, True, False),
}


def act(way: str, leg: int, **delays: float) -> Act:
    return Act(**WAYS[way][0](stream(leg)), **delays)


class Order:
    """Picks among what is ready as a script says, then the first each time; notes what it could have picked."""

    def __init__(self, script: Sequence[int] = ()) -> None:
        self.script = script
        self.taken: list[tuple[int, int]] = []

    def __call__(self, ready: list[int]) -> int:
        place = len(self.taken)
        choice = self.script[place] if place < len(self.script) else 0
        self.taken.append((choice, len(ready)))
        return ready[choice]

    def next(self) -> Order | None:
        """The order after this one, once it was played; None: all were."""
        script = list(self.taken)
        while script and script[-1][0] + 1 == script[-1][1]:
            script.pop()
        choices = [choice for choice, _ in script]
        return Order([*choices[:-1], choices[-1] + 1]) if choices else None


def orders() -> Iterator[Order]:
    """Every order in which what is ready at once can come, for runs that depend on nothing else."""
    order: Order | None = Order()
    while order is not None:
        yield order
        order = order.next()


class Watched(World):
    """A world that also checks what a race may do: keep what is pending until somebody has spoken, and no longer."""

    spoke: int | None = None
    """The leg that got a word first."""

    def _outcome(self, name: int, leg: Leg) -> Outcome:
        outcome = super()._outcome(name, leg)
        if self.spoke is None and isinstance(outcome, Data) and b"one" in outcome.data:
            self.spoke = name
        return outcome

    def _do(self, command: Any) -> Any:
        if isinstance(command, Wait) and len(self.legs) > 1:
            assert command.keep
        if isinstance(command, Wait) and self.emitted:
            assert not command.keep
            assert list(self.legs) == [*command.legs], "a loser still runs beside the winner"
        return super()._do(command)


def run(world: World, *patience: float, **options: Any) -> Sequence[Finish[Told]]:
    """A race of as many as there are patiences; legs from 1 on."""
    runners = [runner(Racer(leg), seconds) for leg, seconds in enumerate(patience, start=1)]
    finishes: Sequence[Finish[Told]] = world.run(race(runners, world.now, judge), **options)
    return finishes


def check(world: Watched, ways: Sequence[str], finishes: Sequence[Finish[Told]]) -> None:
    """What holds of every race, however it went."""
    rows = Counter(entry.outcome for entry, _ in world.settled)
    assert len({finish.place for finish in finishes}) == len(finishes)
    for finish in finishes[:-1]:
        assert finish.result is None or finish.result.fault
    lost = [finish for finish in finishes if finish.result is None and finish.error is None]
    assert len(lost) == rows["lost_race"]
    for finish in lost:
        assert finish.settlement is not None
        assert finish.settlement.outcome == "lost_race"
    for finish in finishes:
        is_ours = ways[finish.place] == "error of ours" and finish not in lost
        assert isinstance(finish.error, NoWayToAnswer) == is_ours
        has_row = finish.settlement is not None
        assert has_row or finish.spoke or ways[finish.place] == "refused by a limit"
    last = finishes[-1]
    assert [finish for finish in finishes if finish.spoke] == ([last] if world.spoke else [])
    way = ways[last.place]
    if not any(WAYS[ways[finish.place]][1] for finish in finishes):
        assert (world.text, lost) == ("", [])
        return
    # Somebody could speak, so somebody did, and what the caller has seen is that one's words alone.
    assert last.result is not None
    assert world.spoke == last.place + 1
    assert WAYS[way][1]
    assert world.text == last.result.text
    assert (last.result.fault == "") == WAYS[way][2]
    assert world.text == (TEXTS[last.place + 1] if WAYS[way][2] else f"one {last.place + 1} ")


def test_every_interleaving_of_two() -> None:
    """However two attempts and their faults interleave: one winner, its words alone, one row each."""
    schedules = 0
    winners: Counter[int] = Counter()
    for ways in itertools.product(WAYS, repeat=2):
        for pick in orders():
            world = Watched(act(ways[0], 1), act(ways[1], 2), pick=pick)
            finishes = run(world, 0.0, 0.0)
            check(world, ways, finishes)
            winners[finishes[-1].place] += 1
            schedules += 1
    assert schedules > 5000
    assert min(winners.values()) > 1000  # either may win


def test_a_third_takes_over() -> None:
    """Three faults in one race: the third one starts when the other two have failed, or beside them."""
    failing = [way for way, (_, speaks, _) in WAYS.items() if not speaks]
    for ways in itertools.product(failing, failing, WAYS):
        for patience in (0.0, 5.0, 1e9):
            world = Watched(*(act(way, leg) for leg, way in enumerate(ways, start=1)))
            finishes = run(world, patience, patience, patience)
            assert {finish.place for finish in finishes} == {0, 1, 2}
            check(world, ways, finishes)


@pytest.mark.parametrize("patience", [0.0, 1.0, 2.5, 1e9])
def test_the_first_to_speak_wins(patience: float) -> None:
    """Over a grid of delays: the next starts when the first is later than its patience, and the earlier word wins."""
    grid = [
        dict(zip(("admitted", "opens", "first"), d, strict=True))
        for d in itertools.product((0, 1, 3), repeat=3)
    ]
    for one, two in itertools.product(grid, repeat=2):
        world = Watched(act("whole", 1, **one), act("whole", 2, **two))
        began = world.now
        last = run(world, patience, patience)[-1]
        first_word = began + sum(one.values())
        other_word = began + patience + sum(two.values())
        assert (len(world.intents) == 2) == (first_word > began + patience) or first_word == began + patience
        if first_word != other_word:
            assert last.place == (0 if first_word < other_word else 1)
        assert world.now == min(first_word, other_word) if len(world.intents) == 2 else first_word


@pytest.mark.parametrize("how", ["leave", "close"])
def test_leave_at_every_turn(how: str) -> None:
    """Wherever the caller leaves, each begun attempt has exactly one settlement, and nothing goes on."""
    abandoned = schedules = 0
    for ways in itertools.product(WAYS, repeat=2):
        for turn in range(1, 40):
            world = Watched(act(ways[0], 1), act(ways[1], 2))
            if run(world, 0.0, 0.0, leave_at=turn, how=how) is not None:
                break
            schedules += 1
            rows = Counter(entry.outcome for entry, _ in world.settled)
            abandoned += rows["abandoned"]
            assert rows["lost_race"] <= 1
            if how == "close":  # no command may come of it; the driver's net settles what is left
                assert not rows["abandoned"]
        else:
            raise AssertionError("the race never ended")
    assert schedules > 1000
    assert how == "close" or abandoned > 1000


def test_leave_in_each_interleaving() -> None:
    """The same for two good attempts in every order of theirs."""
    for order in orders():
        run(Watched(act("whole", 1), act("breaks late", 2), pick=order), 0.0, 0.0)
        choices = [choice for choice, _ in order.taken]
        for turn in itertools.count(1):
            world = Watched(act("whole", 1), act("breaks late", 2), pick=Order(choices))
            if run(world, 0.0, 0.0, leave_at=turn) is not None:
                break
            assert {entry.outcome for entry, _ in world.settled} <= {"abandoned", "lost_race"}


def test_a_slow_reader_moves_only_the_winners_deadlines() -> None:
    """Who reads slowly holds nobody's wire: the loser is gone, and the winner's time stands still meanwhile."""
    world = Watched(act("whole", 1, opens=50.0), act("whole", 2), slow_reader=500.0)
    finishes = run(world, 1.0, 1.0)
    assert [finish.place for finish in finishes] == [0, 1]
    assert world.text == TEXTS[2]


def test_each_has_its_own_deadline() -> None:
    """A Tick reaches the one whose own moment has passed; the other runs on, and may still win."""
    world = Watched(act("silent", 1), act("whole", 2, opens=30.0))
    made: list[float] = []
    runners = [runner(Racer(1, idle=10.0), 5.0, made), runner(Racer(2, idle=60.0), 5.0, made)]
    first, last = world.run(race(runners, world.now, judge))
    assert first.result.fault == "Tick"
    assert first.result.at == 1010.0
    assert (last.place, last.result.text) == (1, TEXTS[2])
    assert made == [1000.0, 1005.0]


def test_nobody_else_starts_while_the_first_is_in_time() -> None:
    """Who speaks within its patience races nobody."""
    world = Watched(act("whole", 1, opens=4.9), act("whole", 2))
    (only,) = run(world, 5.0, 5.0)
    assert only.result is not None
    assert only.result.text == TEXTS[1]
    assert len(world.intents) == 1


def test_a_failure_starts_the_next_at_once() -> None:
    """Where nobody else runs there is nothing to be patient for."""
    world = Watched(act("lost", 1), act("whole", 2))
    finishes = run(world, 5.0, 5.0)
    assert [finish.place for finish in finishes] == [0, 1]
    assert world.now == 1000.0


@pytest.mark.parametrize(("meaning", "started"), [("next", 2), ("stop", 1), ("won", 1)])
def test_the_judge_decides_whether_anyone_else_is_asked(meaning: Any, started: int) -> None:
    """A fault that another model could not mend ends the race."""
    world = Watched(act("status", 1), act("whole", 2))
    runners = [runner(Racer(leg), 5.0) for leg in (1, 2)]
    finishes = world.run(race(runners, world.now, lambda told: meaning if told.fault else "won"))
    assert len(finishes) == len(world.intents) == started


def test_an_answer_without_a_word_beats_the_others() -> None:
    """An attempt that ends as answered has won, although it never spoke."""
    world = World(Act((END,)), act("whole", 2, opens=9.0))
    runners = [runner(Racer(leg), 0.0) for leg in (1, 2)]
    finishes = world.run(race(runners, world.now, lambda told: "won"))
    assert [entry.outcome for entry, _ in world.settled] == ["bad", "lost_race"]
    assert [(finish.place, finish.result is None) for finish in finishes] == [(1, True), (0, False)]


def test_silent_attempts_race_as_well() -> None:
    """Where nothing is shown, the first token wins all the same, without an Emit."""
    world = Watched(act("whole", 1, opens=9.0), act("whole", 2))
    runners = [runner(Racer(leg, shown=False), 1.0) for leg in (1, 2)]
    finishes = world.run(race(runners, world.now, judge))
    assert finishes[-1].result.text == TEXTS[2]
    assert world.text == ""
    assert [entry.outcome for entry, _ in world.settled] == ["lost_race", "answered"]


def test_what_is_shown_is_spoken() -> None:
    """An attempt that emits has won, whether or not it said so."""
    for quiet in ((True, True), (True, False), (False, True)):
        for pick in orders():
            world = Watched(act("whole", 1), act("whole", 2), pick=pick)
            runners = [runner(Racer(leg, quiet=q), 0.0) for leg, q in enumerate(quiet, start=1)]
            finishes = world.run(race(runners, world.now, judge))
            check(world, ("whole", "whole"), finishes)


def test_one_that_cannot_be_made_is_passed_over() -> None:
    """Too dear to be begun: the next one is asked in its place, and its patience counts for nothing."""
    world = Watched(act("lost", 1), act("whole", 3))
    runners: list[Runner[Told]] = [
        runner(Racer(1), 5.0),
        Runner(lambda at: None, 1e9),
        runner(Racer(3), 5.0),
    ]
    finishes = world.run(race(runners, world.now, judge))
    assert [finish.place for finish in finishes] == [0, 2]
    assert world.run(race(runners[1:2], world.now, judge)) == ()


def test_a_bug_settles_the_others_and_comes_out() -> None:
    """What is no error of ours ends the race: each begun attempt is settled, then it is raised."""

    def broken(at: float) -> Any:
        yield Wait((), at + 1.0)
        raise ValueError("a bug")

    world = World(act("whole", 1, opens=9.0))
    with pytest.raises(ValueError, match="a bug"):
        world.run(race([runner(Racer(1), 0.0), Runner(broken, 1.0)], world.now, judge))
    assert [entry.outcome for entry, _ in world.settled] == ["abandoned"]


def test_one_that_will_not_go() -> None:
    """A loser that waits or shows something after it was dismissed is a bug, and told as one."""

    def stubborn(at: float) -> Any:
        try:
            yield Wait((), at + 100.0)
        except Abandoned:
            yield Wait((), at + 200.0)

    world = World(act("whole", 1, opens=9.0))
    with pytest.raises(RuntimeError, match="wanted to go on"):
        world.run(race([Runner(stubborn, 0.0), runner(Racer(1), 1.0)], world.now, judge))


def test_one_that_ends_when_it_is_dismissed() -> None:
    """A loser may as well return: it has lost all the same."""

    def meek(at: float) -> Any:
        try:
            yield Wait((), at + 100.0)
        except Abandoned:
            return Told(9, "never seen", "", at)

    world = World(act("whole", 1))
    lost, won = world.run(race([Runner(meek, 0.0), runner(Racer(1), 1.0)], world.now, judge))
    assert (lost.result, lost.settlement) == (None, None)
    assert won.result.text == TEXTS[1]


def until_command(flow: Any, world: World, kind: type) -> Any:
    """Play a race up to a command of a kind, which is carried out; the answer to it."""
    answer = None
    while True:
        command = flow.send(answer)
        answer = world._do(command)
        if isinstance(command, kind):
            return answer


def test_leaving_in_the_midst_of_a_dismissal() -> None:
    """A caller who leaves while the loser is settled: winner and loser both have their one row."""
    flow = race([runner(Racer(leg), 0.0) for leg in (1, 2)], 1000.0, judge)
    world = World(act("whole", 1), act("whole", 2))
    until_command(flow, world, Settle)
    world._leave(flow, "leave")
    assert [entry.outcome for entry, _ in world.settled] == ["lost_race", "abandoned"]


@pytest.mark.parametrize(("kind", "answer"), [(Wait, 1.0), (Settle, None)])
def test_a_driver_that_answers_wrongly_is_told(kind: type, answer: Any) -> None:
    """A bare time for a Wait, or an outcome for what does not wait, is a driver's bug."""
    flow = race([runner(Racer(leg), 0.0) for leg in (1, 2)], 1000.0, judge)
    until_command(flow, World(act("whole", 1), act("whole", 2)), kind)
    while True:
        try:
            flow.send(answer)
        except TypeError as error:
            assert "a driver answered" in str(error)
            return
