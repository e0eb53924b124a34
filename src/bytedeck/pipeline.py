"""The page: one request, from the caller's words to the last row, as one generator.

    route → guard → call → decode → settle

It decides and does nothing: `io.drive` carries out what it yields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from .call import bound, request
from .call.attempt import Tried, Try, attempt
from .call.race import Meaning, Runner, race
from .call.steps import Flow, emit, pause
from .errors import NOT_ASKED, TABLE, BudgetExceeded, ByteError, NoWayToAnswer, RateLimited, error_from
from .events import Event, FellBack, Waiting
from .guard import access, rules
from .route.choose import choose
from .run import Deck, Run, Turn, usual
from .types import Ask, Candidate, Delta, Fault, Plan, Reply

WORTH_TELLING = 1.0
"""Seconds from which on a person is told that we wait."""


def answer(ask: Ask, deck: Deck, at: float) -> Flow[Reply]:
    """The whole request, begun at the monotonic moment `at`. Raises a ByteError that carries what there was."""
    request.check(ask)
    run = Run(ask, deck, plan(ask, deck), at)
    tried, kept_back = None, []
    while run.queue:
        candidate = run.queue.popleft()
        if candidate.route in run.gone:
            continue
        try:
            tried = yield from _ask_model(run, candidate, tried, last=not run.queue)
        except (BudgetExceeded, RateLimited) as error:  # a cheaper one, or a freer one, may follow
            run.note(f"{candidate.name} {NOT_ASKED}: {_reason(error)}")
            kept_back.append((candidate, error))
            continue
        except ByteError as error:
            error.reply = error.reply or run.unanswered(candidate)
            raise
        if tried.fault is None or not run.goes_on(tried):
            break
    if tried is None:
        raise _nobody(kept_back)
    if tried.held:
        tried = yield from _read(run, tried)
    reply = run.reply(tried)
    if tried.fault is not None:
        raise error_from(tried.fault, reply)
    return reply


def _nobody(kept_back: Sequence[tuple[Candidate, ByteError]]) -> ByteError:
    """Nobody was asked: the first one's reason, and what kept the others back."""
    if not kept_back:
        return NoWayToAnswer(TABLE["no_way_to_answer"].sentence)
    (_, error), *others = kept_back
    told = (f"{candidate.name} {NOT_ASKED}, either: {_reason(one)}" for candidate, one in others)
    error.hint = (*error.hint, *told)
    return error


def _reason(error: ByteError) -> str:
    """Which bound, limit or budget it was, as it goes into a sentence."""
    text = error.message.removeprefix(TABLE[error.code].sentence).strip() or error.message
    return text[:1].lower() + text[1:]


def _refused(run: Run, fault: Fault, job: Try, candidate: Candidate) -> ByteError:
    """A limit or a budget has kept it back."""
    error = error_from(fault, run.unanswered(candidate))
    if job.intent.worst_units is None and not bound.is_bounded(run.ask, run.plan, candidate):
        error.hint = error.hint[::-1]  # it is what the request holds, and no want of a price
    return error


def plan(ask: Ask, deck: Deck) -> Plan:
    """Route alone: who would be asked, and why. Nothing is sent."""
    if ask.caller is not None:
        access.admit_request(ask)
    chosen = choose(
        ask,
        deck.config,
        deck.catalog,
        has_key=deck.has_key,
        has_local=deck.has_local,
        local_reason=deck.local_reason,
        health=deck.health,
        chains=deck.chains,
    )
    held = rules.beside(deck.config.rules, ask.caller)
    is_bound = ask.max_cost_units is not None
    if held.budgets and not is_bound:
        is_bound = any(budget.hard for budget in rules.budgets(held, ask.key, chosen.task))
    return replace(chosen, is_bound=True) if is_bound else chosen


def _ask_model(run: Run, candidate: Candidate, before: Tried | None, last: bool) -> Flow[Tried]:
    """One model, as often as its failures are worth it. Raises BudgetExceeded where it is too dear from the start,
    and RateLimited where a limit of ours kept it back.

    `before`: how it went with the one before it.
    """
    turn = Turn(run, candidate, run.amends(candidate), last)
    failed = None
    while True:
        try:
            job = run.job(candidate, turn.amends)
        except BudgetExceeded:
            if failed is None:
                raise
            return failed  # what failed is told, not what it would cost to ask again
        # Who is kept back looks again and again: that is not told, nor is a rival asked, each time.
        is_first = failed is None and not turn.refusals
        if is_first and before is not None and candidate.model != before.record.model:
            yield from _tell(run, _fell_back(before, candidate))
        rival = run.rival() if is_first and run.plan.policy.hedge else None
        if rival is None:
            tried = yield from attempt(job, run.at, run.deadline)
            run.record(tried, job, candidate)
        else:
            tried = yield from _raced(run, job, candidate, rival)
        fault = tried.fault
        if fault is None or tried.record.model != candidate.model:
            return tried
        if tried.is_refused:
            verdict = turn.kept_back(fault, job)
            if verdict.move != "again" and failed is None:
                raise _refused(run, fault, job, candidate)
            if verdict.move != "again":
                run.note(f"{candidate.name} {NOT_ASKED} again: {_reason(error_from(fault))}")
        else:
            failed = tried
            if tried.shown and not (TABLE[fault.code].amend and run.story.may_go_on):
                return tried
            verdict = turn.after(fault, job)
        if verdict.move != "again" and failed is not None:
            return failed
        if verdict.wait >= WORTH_TELLING:
            yield from _tell(run, Waiting(model=candidate.model, why=fault.code, seconds=verdict.wait))
        if verdict.wait:
            run.at = yield from pause(run.at + verdict.wait)


def _raced(run: Run, job: Try, candidate: Candidate, rival: Candidate) -> Flow[Tried]:
    """One attempt, and one at the next model beside it where the first is late. The first to speak answers.

    Who lost, or was not asked, may still be asked later; where nobody won, it is the first one's turn again.
    """
    jobs = [replace(job, raced=True)]

    def first(at: float) -> Flow[Tried]:
        return attempt(jobs[0], at, run.deadline)

    def second(at: float) -> Flow[Tried] | None:
        try:
            jobs.append(replace(run.job(rival, run.amends(rival), beside=job), raced=True))
        except BudgetExceeded:
            return None
        return attempt(jobs[1], at, run.deadline)

    runners = (Runner(first, usual(run.deck.health, candidate)), Runner(second, math.inf))
    finishes = yield from race(runners, run.at, _meaning)
    for finish in finishes:
        if finish.result is not None:
            run.record(finish.result, jobs[finish.place], (candidate, rival)[finish.place])
        elif finish.settlement is not None:
            run.lost(jobs[finish.place], finish.settlement)
    return run.verdict(finishes, candidate, rival)


def _meaning(tried: Tried) -> Meaning:
    """What it means for a race that an attempt ended without a word."""
    if tried.fault is None:
        return "won"
    row = TABLE[tried.fault.code]
    return "stop" if row.then == "stop" or row.amend else "next"


def _read(run: Run, tried: Tried) -> Flow[Tried]:
    """An answer that was held back, read from its JSON; shown now if it is whole."""
    reply = request.unheld(tried.reply, f"call_{run.ask.id[:16]}")
    if tried.voice is not None and tried.fault is None:
        content = Delta(text=reply.text, tool_calls=request.parts(reply.tool_calls))
        yield from emit(tried.voice.late(content))
    return replace(tried, reply=reply)


def _fell_back(tried: Tried, candidate: Candidate) -> FellBack:
    code = tried.fault.code if tried.fault is not None else ""
    return FellBack(from_model=tried.record.model, to_model=candidate.model, why=code)


def _tell(run: Run, event: Event) -> Flow[None]:
    """Something happened besides words. Who is not shown the answer while it comes is told only if asked for."""
    if not (run.ask.streamed or run.ask.listens):
        return
    back = yield from emit([Delta(event=event)])
    run.deadline += max(0.0, back - run.at)
    run.at = max(back, run.at)


__all__ = ["Deck", "answer", "plan"]
