"""The page: one request, from the caller's words to the last row, as one generator.

    route → guard → call → decode → settle

It decides and does nothing: `io.drive` carries out what it yields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from .call import request, retry
from .call.attempt import Tried, Try, attempt
from .call.request import Amends
from .call.steps import Flow, emit, pause
from .config import Config
from .errors import TABLE, BudgetExceeded, ByteError, NoWayToAnswer, error_from
from .guard import budget
from .route import catalog
from .route.catalog import Catalog
from .route.choose import choose
from .types import Ask, Attempt, Candidate, Delta, Intent, Plan, Reply, Route, Timeouts, Usage

MODELS_PER_REQUEST = 3
"""How many models of a task's chain are tried; a chain that the caller names is tried whole."""


class Deck(Struct, frozen=True, kw_only=True):
    """What the house knows at the moment of asking: a snapshot, never looked up again."""

    config: Config
    catalog: Catalog | None
    has_key: bool
    has_local: bool
    local_reason: str
    """Why there is no local model, where there is none."""
    clean: Callable[[str], str]
    """Takes keys out of an upstream's words."""
    utc_minutes: int
    """Minutes since midnight, UTC: prices may depend on the hour."""


def answer(ask: Ask, deck: Deck, at: float) -> Flow[Reply]:
    """The whole request, begun at the monotonic moment `at`. Raises a ByteError that carries what there was."""
    request.check(ask)
    run = _Run(ask, deck, plan(ask, deck), at)
    tried = too_dear = None
    gone: set[Route] = set()
    for candidate, last in _chain(run):
        if candidate.route in gone:
            continue
        try:
            tried = yield from _ask_model(run, candidate, last)
        except BudgetExceeded as error:  # a cheaper one may follow
            too_dear = too_dear or error
            continue
        answered_by = candidate
        if tried.fault is None or tried.shown or run.at >= run.deadline:
            break
        then = TABLE[tried.fault.code].then
        if then == "stop":
            break
        if then == "elsewhere":
            gone.add(candidate.route)
    if tried is None:
        raise too_dear or NoWayToAnswer(TABLE["no_way_to_answer"].sentence)
    reply = run.reply(tried, answered_by)
    if tried.fault is not None:
        raise error_from(tried.fault, reply)
    if tried.held and ask.streamed:
        yield from emit([Delta(text=reply.text, tool_calls=request.parts(reply.tool_calls))])
    return reply


def plan(ask: Ask, deck: Deck) -> Plan:
    """Route alone: who would be asked, and why. Nothing is sent."""
    return choose(
        ask,
        deck.config,
        deck.catalog,
        has_key=deck.has_key,
        has_local=deck.has_local,
        local_reason=deck.local_reason,
    )


def _ask_model(run: _Run, candidate: Candidate, last: bool) -> Flow[Tried]:
    """One model, as often as its failures are worth it. Raises BudgetExceeded where it is too dear from the start."""
    amends = Amends()
    tries = 0
    tried = None
    while True:
        try:
            job = run.job(candidate, amends)
        except BudgetExceeded:
            if tried is None:
                raise
            return tried  # what failed is told, not what it would cost to ask again
        tried = yield from attempt(job, run.at, run.deadline)
        run.record(tried, job)
        fault = tried.fault
        if fault is None or tried.shown:
            return tried
        changed = request.amended(amends, TABLE[fault.code].amend, fault, run.ask, run.plan, candidate)
        if changed is not None:
            amends = changed
            continue
        tries += 1
        verdict = retry.decide(
            fault,
            tries=tries,
            most=run.deck.config.retries,
            last=last,
            remaining=run.deadline - run.at,
            chance=retry.chance(job.intent.attempt),
        )
        if verdict.move != "again":
            return tried
        run.at = yield from pause(run.at + verdict.wait)


def worst_case(
    ask: Ask, chosen: Plan, candidate: Candidate, amends: Amends, body_bytes: int, utc_minutes: int
) -> int | None:
    """What one attempt can cost at most, units; None where no price bounds it."""
    if candidate.route == "local":
        return 0
    if candidate.info is None or not request.is_bounded(ask, candidate):
        return None
    cap = request.output_cap(ask, chosen, candidate, amends)
    return catalog.worst_case(candidate.info, body_bytes, cap, utc_minutes)


def _chain(run: _Run) -> Iterator[tuple[Candidate, bool]]:
    """The candidates to try, each with whether it is the last one."""
    candidates = run.plan.candidates
    chain = candidates if run.ask.models else candidates[:MODELS_PER_REQUEST]
    for place, candidate in enumerate(chain, start=1):
        yield candidate, place == len(chain)


def _patience(timeouts: Timeouts, candidate: Candidate) -> Timeouts:
    """A model on this machine reads a long prompt at a hundred tokens a second: silent, but not stalled."""
    return replace(timeouts, first_event=timeouts.total) if candidate.route == "local" else timeouts


class _Run:
    """What a request gathers on its way through the page."""

    def __init__(self, ask: Ask, deck: Deck, chosen: Plan, at: float) -> None:
        self.ask = ask
        self.deck = deck
        self.plan = chosen
        self.began = self.at = at
        self.deadline = at + chosen.timeouts.total
        self.attempts: list[Attempt] = []
        self.notes = list(chosen.notes)
        self.spent = 0
        """Units that may have been spent: what is known, and the worst case of what is not."""

    def job(self, candidate: Candidate, amends: Amends) -> Try:
        """The next attempt at a candidate. Raises BudgetExceeded where it might cost too much."""
        composed = request.compose(self.ask, self.plan, candidate, amends)
        size = len(composed.request.body)
        worst = worst_case(self.ask, self.plan, candidate, amends, size, self.deck.utc_minutes)
        try:
            budget.afford(self.ask.max_cost_units, self.spent, worst, candidate.model)
        except ByteError as error:
            error.reply = self._unanswered(candidate)
            raise
        return Try(
            leg=len(self.attempts) + 1,
            intent=self._intent(candidate, worst),
            request=composed.request,
            timeouts=_patience(self.plan.timeouts, candidate),
            shown=self.ask.streamed,
            held=composed.held,
            ledger_required=self.deck.config.ledger_required,
            estimate=self._estimator(candidate),
            clean=self.deck.clean,
            is_local=candidate.route == "local",
        )

    def _estimator(self, candidate: Candidate) -> Callable[[Usage], int | None]:
        info, minutes = candidate.info, self.deck.utc_minutes
        return lambda usage: None if info is None else catalog.estimate(info, usage, minutes)

    def _intent(self, candidate: Candidate, worst: int | None) -> Intent:
        number = len(self.attempts) + 1
        return Intent(
            attempt=f"{self.ask.id}-{number}",
            request=self.ask.id,
            number=number,
            task=self.plan.task,
            model=candidate.model,
            key=self.ask.key,
            streamed=self.ask.streamed,
            worst_units=worst,
        )

    def record(self, tried: Tried, job: Try) -> None:
        """An attempt is over: the clock, the money, what to tell."""
        self.at, self.deadline = tried.at, tried.deadline
        self.attempts.append(tried.record)
        cost = tried.record.cost_units
        self.spent += cost if cost is not None else (job.intent.worst_units or 0)
        if tried.note and tried.note not in self.notes:
            self.notes.append(tried.note)

    def reply(self, tried: Tried, candidate: Candidate) -> Reply:
        """What there is of an answer, whole or not."""
        found = tried.reply
        if tried.held:
            found = request.unheld(found, f"call_{self.ask.id[:16]}")
        return replace(
            found,
            id=self.ask.id,
            task=self.plan.task,
            model=found.model or candidate.model,
            model_name=candidate.name,
            requested_model=candidate.model,
            why=candidate.why,
            generation_id=tried.record.generation_id,
            attempts=tuple(self.attempts),
            notes=tuple(self.notes),
            first_token=tried.record.first_token,
            seconds=self.at - self.began,
        )

    def _unanswered(self, candidate: Candidate) -> Reply:
        return Reply(
            id=self.ask.id,
            task=self.plan.task,
            requested_model=candidate.model,
            attempts=tuple(self.attempts),
            notes=tuple(self.notes),
        )
