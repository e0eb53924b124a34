"""A match as it is being held: what both drivers keep of it, and everything of their work that does not wait."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..arena.bill import Charge
from ..arena.events import Begun, Event, Paused, Resumed, RoundEnded, Words
from ..arena.match import outcome, script
from ..arena.match.referee import Assess, Comment, Referee, Speak, Step
from ..arena.types import Match
from ..callers import Caller
from ..errors import HINDRANCES, ByteError, CallerError, InternalError
from ..events import Seam
from ..house import House
from ..types import Ask, Delta, Model, Policy, Reply

_POLICY = Policy(failover="continue", hedge=False)
"""An answer that breaks off is gone on with; a race would let two models speak in one turn."""
_SPARE = 3
"""So many times its worst case a call may cost where the budget has room for that of all: it may have to be tried again."""


class Job(Struct, frozen=True, eq=False):
    """One call that is begun."""

    step: Step
    ask: Ask

    @property
    def request(self) -> str:
        return self.ask.id


class Said(Struct, frozen=True):
    """What one network read of a call brought."""

    job: Job
    text: str
    erase: int
    at: int
    """Microseconds since 1970."""


class Over(Struct, frozen=True):
    """A call has ended."""

    job: Job
    came: Reply | BaseException | None
    """None: it was left."""


class Short(Struct, frozen=True):
    """The budget has no room for what is due, or nothing can be asked at all."""

    needed_units: int | None = None
    error: ByteError | None = None
    """What keeps everything back; None: the budget."""


class Stage:
    """One match, from one thread at a time."""

    def __init__(self, house: House, match: Match, caller: Caller | None = None) -> None:
        self.match = match
        self.referee = Referee(match)
        self.past: tuple[Event, ...] = ()
        """What had happened before it was taken up again."""
        self._house = house
        self._caller = caller
        self._seq = -1
        self._at = 0
        self._spent = 0
        """What is known of the cost of all calls that have ended, and the most that the others of them can have cost."""
        self._held: dict[str, int] = {}
        """Request → what a running call may cost."""
        self._running: set[str] = set()
        """The requests of the calls that run here."""
        self._is_short = False
        self._kept_back: ByteError | None = None
        """What kept a call back that is no fighter's fault: nothing begins until it goes on, and then that call does anew."""
        self._vote_until = 0
        self._infos: dict[str, Model | None] = {}

    def know(self, infos: dict[str, Model | None]) -> None:
        """What the catalogue says of the models."""
        self._infos = infos

    def charge(self, caller: Caller | None) -> None:
        """Whose virtual key pays for what begins from now on, by the bounds that it has now."""
        self._caller = caller

    # what happens

    def begun(self) -> Begun:
        """The first event."""
        event = Begun(match=self.match, at=self.match.created)
        self._hear(event)
        return event

    def recall(self, events: Sequence[Event], charges: Iterable[Charge]) -> None:
        """All that has happened so far, and what the ledger says that it cost."""
        for event in events:
            self._hear(event)
        self.past = tuple(events)
        self._spent = sum(charge.counted or 0 for charge in charges)

    def tell(self, event: Event) -> Event:
        """An event takes its number and its moment, and is heard."""
        if not event.at:
            event = replace(event, at=now())
        event = replace(event, seq=self._seq + 1, at=max(event.at, self._at))
        self._hear(event)
        return event

    def _hear(self, event: Event) -> None:
        self.referee.hear(event)
        self._seq, self._at = event.seq, event.at
        if isinstance(event, RoundEnded):
            self._vote_until = event.at + round(self.match.rules.vote_seconds * 1_000_000)

    def follows(self) -> list[Event]:
        """What follows by itself, told."""
        return [self.tell(event) for event in self.referee.follows()]

    def resumed(self, budget_units: int | None) -> Event:
        """It goes on: what ran and was lost is asked for once more."""
        lost, self._kept_back = tuple(self.referee.running.values()), None
        return self.tell(Resumed(budget_units=budget_units, lost=lost))

    def paused(self, short: Short) -> Event:
        """It waits for a larger budget, or for what keeps it back to be over."""
        error = short.error
        return self.tell(
            Paused(
                spent_units=self._spent,
                needed_units=short.needed_units,
                budget_units=self.referee.budget_units,
                code=error.code if error is not None else "",
                why=outcome.said(error) if error is not None else "",
            )
        )

    def words(self, said: Said) -> Event:
        """Words of a call."""
        return self.tell(Words(part=said.job.step.part, text=said.text, erase=said.erase, at=said.at))

    def began(self, jobs: Sequence[Job]) -> list[Event]:
        """To be written before anything of them is sent."""
        self._running.update(job.request for job in jobs)
        return [self.tell(outcome.began(self.referee, job.step, job.request)) for job in jobs]

    def over(self, over: Over) -> list[Event]:
        """What a call came to; nothing where it was kept back. Raises what no turn may swallow: our own faults."""
        job, came, self._is_short = over.job, over.came, False
        held = self._held.pop(job.request, None)
        self._running.discard(job.request)
        if isinstance(came, Reply):
            self._spend(came, held)
            return [self.tell(outcome.ended(self.referee, job.step, came))]
        if not isinstance(came, ByteError):
            raise came or InternalError(f"The call {job.request} was left, and nobody left it.")
        self._spend(came.reply, held)
        if came.code in ("ledger_failed", "internal"):
            raise came
        if came.code in HINDRANCES and not isinstance(job.step, Comment):  # nobody waits for a summary
            self._kept_back = came
            return []
        return [self.tell(outcome.failed(self.referee, job.step, job.request, came))]

    def _spend(self, reply: Reply | None, held: int | None) -> None:
        """A call is over. Where an attempt's cost is not known, all counts that it might have cost."""
        costs = [one.cost_units for one in reply.attempts] if reply is not None else []
        known = sum(cost for cost in costs if cost is not None)
        self._spent += known if held is None or None not in costs else max(held, known)

    # what is to be done

    @property
    def is_over(self) -> bool:
        return self.referee.is_over

    @property
    def is_paused(self) -> bool:
        return self.referee.is_paused

    @property
    def has_more(self) -> bool:
        """Whether anything follows by itself."""
        return bool(self.referee.follows())

    @property
    def has_due(self) -> bool:
        """Whether calls are to begin, or cannot. What the budget had no room for is looked at again once another one has
        ended; what is kept back is said once nothing runs."""
        if self._kept_back is not None:
            return not self._running
        return bool(self.referee.due()) and not (self._is_short and self._running)

    def voting(self) -> float:
        """Seconds for which people may vote yet before anybody speaks again."""
        steps = self.referee.due()
        if self._house.scripted or not steps or not all(isinstance(one, Speak) for one in steps):
            return 0.0
        left = (self._vote_until - now()) / 1_000_000
        return min(max(0.0, left), self.match.rules.vote_seconds)

    @property
    def is_bound(self) -> bool:
        """Whether a budget holds: to work out what is due then takes a look at the ledger, and blocks."""
        return self.referee.budget_units is not None

    def due(self) -> list[Job] | Short:
        """The calls that are to begin now, as far as the budget has room for them; Short where it has none for the first,
        or all are kept back."""
        if self._kept_back is not None:
            return Short(error=self._kept_back)
        jobs = [self._job(step) for step in self.referee.due()]
        budget = self.referee.budget_units
        return jobs if budget is None or not jobs else self._afford(jobs, budget)

    def _afford(self, jobs: Sequence[Job], budget: int) -> list[Job] | Short:
        left = max(0, budget - self._spent - sum(self._held.values()))
        worst = [self._worst(job, budget) for job in jobs]
        known = [one for one in worst if one is not None]
        needed = sum(known) if len(known) == len(worst) else None
        spare = min(_SPARE, left // needed) if needed else 1
        going: list[Job] = []
        for job, most in zip(jobs, worst, strict=True):
            if most is None or most > left:
                break
            held = most * max(1, spare)
            left -= held
            self._held[job.request] = held
            going.append(Job(job.step, replace(job.ask, max_cost_units=held)))
        self._is_short = not going
        return going or Short(needed)

    def _worst(self, job: Job, budget: int) -> int | None:
        """The most that one attempt at the dearest of its models costs, units; None where no price bounds it."""
        found: list[int | None] = []
        for model in job.ask.models:
            alone = replace(job.ask, models=(model,), max_cost_units=budget)
            try:
                found.append(self._house.explain(alone).worst_units)
            except (
                CallerError
            ):  # a model that is gone, a key that may not use it: it is refused unsent, and the call tells
                found.append(0)
        return None if None in found else max(one for one in found if one is not None)

    def _job(self, step: Step) -> Job:
        call = script.call(self.referee, step, self._infos)
        ask = self._house.ask(
            call.messages, task=call.task, model=call.models, system="", timeout=None, max_cost=None,
            headers=None, params=dict(call.params), streamed=not isinstance(step, Assess), policy=_POLICY,
            caller=self._caller,
        )  # fmt: skip
        return Job(step, ask)


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def said(job: Job, deltas: Iterable[Delta]) -> Said | None:
    """What one read brought, as one piece; None: no words."""
    text, erase = "", 0
    for delta in deltas:
        back = delta.event.erase if isinstance(delta.event, Seam) else 0
        erase += max(0, back - len(text))
        text = (text[:-back] if back else text) + delta.text
    return Said(job, text, erase, now()) if text or erase else None
