"""A match while it is held: shown, paused and asked about, voted on, paid for; and how the command ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ...arena.events import Event, Paused, RoundEnded, TurnFailed
from ...arena.show.story import Story
from ...arena.show.text import money
from ...errors import TABLE, ByteError, CallerError
from ...money import UNITS_PER_USD, to_text
from .. import keyboard, tell
from . import scorecard, views

if TYPE_CHECKING:
    from ...client import Hub
    from ...debates.debate import Debate

_CENT = UNITS_PER_USD // 100
_NO = ("", "n", "no")
_YES = ("y", "yes")


class Bout:
    """Holds a match to its end, or as far as it goes.

    `asks`: whether somebody is there to answer. `votes`: None: the owner is asked at the end, True: after each round,
    too, False: never. `hidden`: the models are told after the vote.
    """

    def __init__(
        self,
        hub: Hub,
        debate: Debate,
        *,
        json_: bool = False,
        votes: bool | None = None,
        hidden: bool = False,
        past: Sequence[Event] = (),
    ) -> None:
        self._hub, self._debate = hub, debate
        self._story = Story(debate.match)
        self._json, self._votes, self._hidden, self._past = json_, votes, hidden, past
        self._asks = not json_ and all(map(tell.is_terminal, (sys.stdin, sys.stdout, sys.stderr)))
        self._has_voted = False
        self._failed = ""
        """The code of the last turn that failed."""
        self._noted: set[str] = set()

    def hold(self) -> int:
        """The exit code: 0 for a match that was held to its end, that of the last failure where nobody could speak."""
        self._tell_notes()
        self._view = views.view(self._debate.match, hidden=self._hidden, json_=self._json)
        try:
            for event in self._past:
                self._hear(event, past=True)
            with self._debate:
                self._run()
        except (KeyboardInterrupt, click.Abort):
            self._view.leave()
            tell.say(f"Stopped; what was said whole is kept. {self._again()}", dim=True)
            raise
        except ByteError:
            self._view.leave()
            if self._story.last is not None:
                tell.say(self._again(), dim=True)
            raise
        finally:
            self._view.leave()
        return self._close()

    def _run(self) -> None:
        for event in self._debate:
            self._hear(event)
            if isinstance(event, Paused) and not self._allows(event):
                return
            if isinstance(event, RoundEnded) and self._votes and self._asks:
                self._vote(event.round)

    def _hear(self, event: Event, past: bool = False) -> None:
        self._story.hear(event)
        self._view.hear(event, past=past)
        if isinstance(event, TurnFailed):
            self._failed = event.code

    def _again(self) -> str:
        return f"Go on with: byte arena resume {self._debate.id}"

    def _close(self) -> int:
        """What is left to say once nothing more happens here."""
        ended = self._story.ended
        if ended is not None and self._asks and self._votes is not False and ended.end != "failed":
            with contextlib.suppress(click.Abort):
                self._vote(None)
        if self._hidden and self._may_reveal():
            self._hidden = False
            self._view.tell([scorecard.revealed(self._story.match)])
        self._tell_costs()
        if ended is None:
            return self._waits()
        self._tell_notes()
        self._tell_next()
        return TABLE[self._failed].exit_code if ended.end == "failed" and self._failed else 0

    def _waits(self) -> int:
        """It was left at a pause: how to go on, and the exit code that tells why."""
        paused = self._story.paused
        if paused is not None and paused.why:
            tell.say(f"It waits until that is mended. {self._again()}", dim=True)
            return TABLE[paused.code].exit_code
        tell.say(f"It waits for more money. {self._again()} --budget USD", dim=True)
        return TABLE["over_max_cost"].exit_code

    def _tell_costs(self) -> None:
        bill = self._debate.bill()
        if self._json:
            parts = {part: None if units is None else to_text(units) for part, units in bill.parts.items()}
            total = None if bill.total_units is None else to_text(bill.total_units)
            most = None if bill.at_most_units is None else to_text(bill.at_most_units)
            tell.out_json({"type": "bill", "match": self._debate.id, "parts_usd": parts, "total_usd": total,
                           "known_usd": to_text(bill.known_units), "at_most_usd": most})  # fmt: skip
        else:
            told = Story(self._story.match, hidden=True) if self._hidden else self._story
            tell.say(f"Cost: {scorecard.costs(told, bill)}", dim=True)

    def _may_reveal(self) -> bool:
        """Whether no vote is to come any more that the names could sway."""
        return (
            self._has_voted
            or self._votes is False
            or bool(self._debate.match.rules.judges)
            or bool(self._failed)
        )

    def _tell_next(self) -> None:
        if self._hidden:
            tell.say(f"Who was who comes with your vote: byte arena vote {self._debate.id} A", dim=True)
        else:
            tell.say(f"See it again: byte arena show {self._debate.id}", dim=True)

    def _tell_notes(self) -> None:
        """Each once; some come up on the way."""
        for note in self._debate.notes:
            if note not in self._noted:
                self._noted.add(note)
                tell.note(note)

    # Questions

    def _allows(self, paused: Paused) -> bool:
        """Whether the person pays more; the debate is told."""
        self._view.leave()
        if not self._asks or paused.why:
            return False
        keyboard.forget()
        wanted = _wanted(paused)
        offered = f"Go on with {money(wanted)} more? [y/N/amount in USD]"
        while True:
            try:
                said = click.prompt(offered, default="", show_default=False, err=True).strip().lower()
            except click.Abort:
                said = ""
            if said in _NO:
                return False
            try:
                self._debate.allow(to_text(wanted) if said in _YES else said.removeprefix("$"))
            except CallerError as error:
                tell.failure(error)
            else:
                return True

    def _vote(self, round_: int | None) -> None:
        """Ask for the owner's vote, until it is one or none is wanted."""
        self._view.leave()
        keyboard.forget()
        letters = ", ".join(scorecard.LABELS[: len(self._story.match.fighters)])
        what = "Who won?" if round_ is None else "Who won this round?"
        while True:
            said = click.prompt(
                f"{what} [{letters}, tie; Enter: no vote]", default="", show_default=False, err=True
            ).strip()
            if not said:
                return
            try:
                vote = self._hub.arena.vote(self._debate.id, said, round=round_, source="owner")
            except CallerError as error:
                tell.failure(error)
                continue
            self._has_voted = round_ is None or self._has_voted
            if not self._hidden:
                tell.say(f"Your vote: {scorecard.chosen(self._story.match, vote.choice)}.", dim=True)
            return


def _wanted(paused: Paused) -> int:
    """What is missing for the next calls, in whole cents; where no price bounds them, as much as was allowed at first."""
    budget = paused.budget_units or 0
    if paused.needed_units is None:
        return budget
    missing = paused.spent_units + paused.needed_units - budget
    return max(_CENT, -(-missing // _CENT) * _CENT)
