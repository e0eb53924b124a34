"""A match as it stands, folded from its events one by one: what every view of it is made of, live or afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..bill import Bill
from ..events import (
    Begun,
    CommentBegan,
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    JudgeFailed,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Words,
)
from ..match import schedule
from ..types import COMMENT, Match, Phase, Ruling, Turn
from .parts import FULL, Bench, Comment, Costs, Note, Said, State, Sum, heading, labels, waiting
from .text import money, one_line, plural, span


class Story:
    """A match as it stands. `hear()` the events in their order, from the first one on; read whatever is needed.

    `hidden`: nobody is told yet which models fight. They are called A and B, and no sentence of it names them.
    """

    def __init__(self, match: Match, *, hidden: bool = False) -> None:
        self.match = match
        self.hidden = hidden
        self.labels = labels(match.fighters, hidden=hidden)
        self.said = {one.turn.part: one for one in waiting(match)}
        """Every turn there will be, by its part, in the order in which they are held."""
        self.judges = tuple(Bench(place=n, model=model) for n, model in enumerate(match.rules.judges))
        self.comment = Comment()
        self.log: list[Note] = []
        self.rounds_ended: list[tuple[int, int]] = []
        """(leg, round), in order."""
        self.decided: Decided | None = None
        self.paused: Paused | None = None
        """The pause that it is in."""
        self.ended: Ended | None = None
        self.last: Event | None = None
        self._costs: dict[str, int | None] = {}

    def hear(self, event: Event) -> None:
        """Fold one more event."""
        _HEARD[type(event)](self, event)
        self.last = event

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    @property
    def winner(self) -> int | None:
        """A fighter's place; None: a tie, or nobody has decided."""
        return self.decided.winner if self.decided else None

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        return self.decided.rulings if self.decided else ()

    @property
    def flips(self) -> tuple[Ruling, ...]:
        """Where a judge chose another side when they were swapped."""
        return tuple(one for one in self.rulings if one.is_flip)

    @property
    def health(self) -> tuple[int, ...]:
        """Every fighter's hit points now."""
        known = self.decided.health if self.decided else ()
        return known[-1] if known else (FULL,) * len(self.match.fighters)

    def health_after(self, leg: int, number: int) -> tuple[int, ...]:
        """Hit points after a round; () where they are not told."""
        known = self.decided.health if self.decided else ()
        place = number if self.match.kind == "battle" else leg * self.match.rules.rounds + number
        return known[place] if place < len(known) else ()

    def tally(self) -> tuple[tuple[int, ...], int]:
        """How many judges are for each fighter, and ties; where more than two fight, how many pairs each has won."""
        wins, ties = [0] * len(self.match.fighters), 0
        pairs = [(r.first, r.second, r.score) for r in self.rulings]
        if len(wins) > 2 and self.decided:
            pairs = list(self.decided.score)
        for first, second, score in pairs:
            if score == 0.5:
                ties += 1
            else:
                wins[first if score > 0.5 else second] += 1
        return tuple(wins), ties

    def scores(self, judge: int) -> dict[tuple[int, int], tuple[float, ...]]:
        """A judge's scores by (leg, round): of each fighter the mean over the rubric and over its looks, 1 to 10."""
        found: dict[tuple[int, int], list[tuple[float, ...]]] = {}
        for (leg, _), verdict in sorted(self.judges[judge].looks.items()):
            for number, row in enumerate(verdict.scores):
                found.setdefault((leg, number), []).append(tuple(one.mean for one in row))
        return {
            key: tuple(sum(column) / len(rows) for column in zip(*rows, strict=False))
            for key, rows in found.items()
        }

    def costs(self, bill: Bill | None = None) -> Costs:
        """What it cost: by the ledger's bill where there is one, else as far as its events tell."""
        costs, known = (self._costs, {}) if bill is None else (bill.parts, bill.known)
        sums = {part: Sum(units or known.get(part, 0), units is not None) for part, units in costs.items()}
        by: dict[str, list[Sum]] = {}
        for part, one in sums.items():
            by.setdefault(payer(part), []).append(one)
        return Costs(
            fighters=tuple(_sum(by.get(str(n), ())) for n in range(len(self.match.fighters))),
            judges=_sum(by.get("judges", ())),
            comment=_sum(by.get(COMMENT, ())),
            total=_sum(sums.values()),
        )

    def tell(self, at: int, text: str) -> None:
        """Write a sentence into the log."""
        self.log.append(Note(at, text))

    def pay(self, part: str, units: int | None) -> None:
        """A call of this part has ended at this cost."""
        before = self._costs.get(part, 0)
        self._costs[part] = None if units is None or before is None else before + units

    def lose(self, requests: Sequence[str]) -> None:
        """These calls will never end: what they had said is taken back, and their parts wait to be asked for again."""
        for one in self.said.values():
            if one.request in requests and one.state == "speaking":
                one.state, one.text, one.request = "waiting", "", ""
        for judge in self.judges:
            judge.running = 0  # whoever was asked by a process that is gone will be asked again
        if self.comment.state == "speaking":
            self.comment.state, self.comment.text = "waiting", ""


def story(match: Match, events: Iterable[Event] = (), *, hidden: bool = False) -> Story:
    """The story of a match as far as these events go."""
    told = Story(match, hidden=hidden)
    for event in events:
        told.hear(event)
    return told


def payer(part: str) -> str:
    """Whom a part's cost is counted for: a fighter's place as text, `judges`, or COMMENT."""
    if part == COMMENT:
        return part
    return part.rpartition(".")[2] if part.startswith("t") else "judges"


def _sum(costs: Iterable[Sum]) -> Sum:
    found = list(costs)
    return Sum(sum(one.units for one in found), all(one.is_whole for one in found))


# --- What each event changes ---------------------------------------------------------------------------------------


def _turn(told: Story, turn: Turn, phase: Phase | None = None) -> Said:
    # A turn that the rules know nothing of is kept all the same: the events are what happened.
    made = Said(turn=turn, phase=phase or schedule.phase(told.match, turn.round))
    return told.said.setdefault(turn.part, made)


def _words(told: Story, event: Words) -> None:
    one: Said | Comment | None = told.comment if event.part == COMMENT else told.said.get(event.part)
    if one is not None:
        one.text = (
            one.text[: len(one.text) - event.erase] + event.text if event.erase else one.text + event.text
        )


def _turn_began(told: Story, event: TurnBegan) -> None:
    one = _turn(told, event.turn, event.phase)
    one.state, one.text, one.note = "speaking", "", ""
    one.request, one.began = event.request, event.at


def _turn_ended(told: Story, event: TurnEnded) -> None:
    one = _turn(told, event.turn)
    one.state, one.text, one.model, one.request = "said", event.text, event.model, event.request
    one.tokens, one.seconds = event.completion_tokens, event.seconds
    one.is_void, one.is_cut = event.is_void, event.finish_reason == "length"
    told.pay(event.turn.part, event.cost_units)
    if event.is_void:
        one.note = "another model spoke" if told.hidden else one_line(event.why_void, 300)
        told.tell(event.at, f"{_whose(told, event.turn)} rates nobody: {_sentence(one.note or 'it is void')}")


def _turn_failed(told: Story, event: TurnFailed) -> None:
    one = _turn(told, event.turn)
    one.state, one.text, one.request = "failed", "", event.request
    # An error's sentence names the model that failed.
    one.note = one_line(event.code if told.hidden else event.message or event.code, 300)
    told.pay(event.turn.part, event.cost_units)
    told.tell(event.at, f"{_whose(told, event.turn)} could not be held: {_sentence(one.note)}")


def _whose(told: Story, turn: Turn) -> str:
    one = told.said[turn.part]
    what = heading(turn.round, one.phase, told.match.rules.rounds).lower()
    return (
        f"{told.labels[turn.fighter]}: the {what}{f' of leg {turn.leg + 1}' if told.match.legs > 1 else ''}"
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else text + "."


def _round_ended(told: Story, event: RoundEnded) -> None:
    told.rounds_ended.append((event.leg, event.round))


def _judge_began(told: Story, event: JudgeBegan) -> None:
    told.judges[event.look.judge].running += 1


def _judge_ended(told: Story, event: JudgeEnded) -> None:
    judge, look = told.judges[event.look.judge], event.look
    judge.running = max(0, judge.running - 1)
    judge.looks[look.leg, look.is_swapped] = event.verdict
    told.pay(look.part, event.cost_units)


def _judge_failed(told: Story, event: JudgeFailed) -> None:
    judge = told.judges[event.look.judge]
    judge.running = max(0, judge.running - 1)
    told.pay(event.look.part, event.cost_units)
    why, name = _sentence(one_line(event.message or event.code, 300)), one_line(event.judge)
    if event.is_out:
        judge.is_out, judge.note = True, why
    what = "is left out" if event.is_out else "gave no verdict and is asked once more"
    told.tell(event.at, f"Judge {name} {what}: {why}")


def _decided(told: Story, event: Decided) -> None:
    told.decided = event
    for one in told.flips:
        pair = f"{told.labels[one.first]} or {told.labels[one.second]}"
        told.tell(event.at, f"Judge {one_line(one.judge)} {flipped(one)} ({pair}): it counts as a tie.")


def flipped(ruling: Ruling) -> str:
    """What a flip is, in words."""
    # It may also have called it a tie one way, and not the other.
    if (ruling.plain - 0.5) * (ruling.swapped - 0.5) < 0:
        return "chose another side when they were swapped"
    return "did not say the same when the sides were swapped"


def _comment_began(told: Story, event: CommentBegan) -> None:
    told.comment = Comment(state="speaking", model=event.model)


def _comment_ended(told: Story, event: CommentEnded) -> None:
    told.pay(COMMENT, event.cost_units)
    model = event.model or told.comment.model
    state: State = "said" if event.text else "failed"
    told.comment = Comment(state=state, text=event.text, model=model, note=one_line(event.message, 300))
    if state == "failed":
        why = told.comment.note or "it said nothing"
        told.tell(event.at, f"The commentator could not sum up: {_sentence(why)}")


def _paused(told: Story, event: Paused) -> None:
    told.paused = event
    if event.why:
        told.tell(event.at, f"Paused: {_sentence(one_line(_masked(told, event.why), 300))}")
        return
    needs = "no known price bounds what is next"
    if event.needed_units is not None:
        needs = f"what is next may cost up to {money(event.needed_units)}"
    spent = f"{money(event.spent_units)} of {money(event.budget_units or 0)} spent"
    told.tell(event.at, f"Paused: {spent}, and {needs}.")


def _resumed(told: Story, event: Resumed) -> None:
    gap = (event.at - told.last.at) / 10**6 if told.last is not None and event.at else 0.0
    told.paused = None
    told.lose(event.lost)
    parts = [f"It went on after {span(gap)}" if gap >= 1 else "It went on"]
    if event.lost:
        parts.append(
            f"{plural(len(event.lost), 'call')} had been cut off and {_were(len(event.lost))} made again"
        )
    if event.budget_units is not None:
        parts.append(f"it may cost {money(event.budget_units)} in all")
    told.tell(event.at, "; ".join(parts) + ".")


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _ended(told: Story, event: Ended) -> None:
    told.ended, told.paused = event, None
    if event.why:
        told.tell(event.at, _sentence(one_line(_masked(told, event.why), 300)))


def _masked(told: Story, text: str) -> str:
    """A sentence without the fighters' names, where they are not told yet."""
    if told.hidden:
        for label, one in zip(told.labels, told.match.fighters, strict=True):
            names = {one.model, one.rated, one.name, one.persona.name if one.persona else "", *one.fallbacks}
            for name in sorted(names - {""}, key=len, reverse=True):
                text = text.replace(name, label)
    return text


_HEARD: Mapping[type, Callable[[Story, Any], None]] = {
    Begun: lambda told, event: None,
    Words: _words,
    TurnBegan: _turn_began,
    TurnEnded: _turn_ended,
    TurnFailed: _turn_failed,
    RoundEnded: _round_ended,
    JudgeBegan: _judge_began,
    JudgeEnded: _judge_ended,
    JudgeFailed: _judge_failed,
    Decided: _decided,
    CommentBegan: _comment_began,
    CommentEnded: _comment_ended,
    Paused: _paused,
    Resumed: _resumed,
    Ended: _ended,
}
