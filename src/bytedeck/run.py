"""What a request knows and gathers on its way through the page: who is still to be asked, what was told and spent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from .call import compact, request, retry
from .call.attempt import Tried, Try
from .call.patience import patience
from .call.race import Finish
from .call.record import record_of
from .call.request import Amends
from .call.resume import Story, total
from .call.voice import FRESH
from .config import Config
from .errors import TABLE, ByteError, InvalidRequest, Row
from .health import Health
from .purse import Purse
from .route import catalog
from .route.catalog import Catalog
from .route.choose import Chains
from .route.fit import holds, too_long
from .types import Ask, Attempt, Candidate, Fault, Intent, Plan, Reply, Route, Settlement, Usage

MODELS_PER_REQUEST = 3
"""How many models of a task's chain are tried; a chain that the caller names is tried whole."""

MEASURED = 20
"""How many answers a model's usual time to the first token has to be of."""
UNMEASURED = 10.0
"""Seconds without a word after which a race begins with a model whose usual time is not known."""
_FIRST_LOOK, _LAST_LOOK = 0.025, 1.0
"""Seconds between two looks whether others have given back what they hold of a budget."""


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
    health: Health = Health()
    """How models and keys are doing."""
    chains: Chains = {}
    """What was worked out before; shared by all decks with the same configuration, catalogue and ways to answer."""


def usual(health: Health, candidate: Candidate) -> float:
    """Seconds after which a model's first word is later than usual: its own p95."""
    known = health.model(candidate.model)
    if known.first_token_p95 is None or known.measured < MEASURED:
        return UNMEASURED
    return known.first_token_p95


class Run:
    """What a request gathers on its way through the page."""

    def __init__(self, ask: Ask, deck: Deck, chosen: Plan, at: float) -> None:
        self.ask = ask
        self.deck = deck
        self.plan = chosen
        self.began = self.at = at
        self.deadline = at + chosen.timeouts.total
        chain = chosen.candidates if ask.models else chosen.candidates[:MODELS_PER_REQUEST]
        self.queue = deque(chain)
        """Who is still to be asked, in order."""
        self.gone: set[Route] = set()
        """Upstreams that cannot be reached."""
        self.story = Story(ask, chosen)
        self.purse = Purse(ask, chosen, deck.config, deck.utc_minutes)
        self._begun = 0
        self._attempts: dict[int, Attempt] = {}
        self._usages: list[Usage] = []
        self._best = Reply()
        """The most words that a failed attempt brought, where nothing was shown."""
        self._breaks: dict[str, int] = {}
        self._notes = list(chosen.notes)
        self._kept_since: float | None = None
        """When a limit or a budget first kept an attempt back."""
        self._left_out: dict[int, int] = {}
        """Attempt → how many of the oldest messages it went without."""

    def amends(self, candidate: Candidate) -> Amends:
        """What is changed from the start: a prompt that is surely too long is shortened, where that is allowed."""
        ask, as_is = self.ask, request.beginning(self.ask, candidate)
        if not self.plan.policy.compact or not too_long(ask.messages, (candidate,), ask.params):
            return as_is
        cap = request.output_cap(ask, self.plan, candidate, as_is)
        room = compact.before(holds(candidate, ask.params) or 0, cap)
        return request.shortened(as_is, ask, room) or as_is

    def leave_smaller(self, candidate: Candidate) -> None:
        """A prompt was too long for a candidate: who holds no more is not asked."""
        limit = candidate.info.context_length if candidate.info else None
        for one in tuple(self.queue):
            theirs = one.info.context_length if one.info else None
            if limit and theirs and theirs <= limit:
                self.queue.remove(one)
                self._notes.append(f"{one.model} is skipped: it holds no more than {candidate.model}.")

    def job(self, candidate: Candidate, amends: Amends, *, beside: Try | None = None) -> Try:
        """The next attempt at a candidate. Raises BudgetExceeded where it might cost too much.

        `beside`: an attempt that is running, so that both may have to be paid.
        """
        number = self._begun + 1
        voice = self.story.voice(candidate, number) if self.ask.streamed else None
        uptake = voice.uptake if voice is not None else FRESH
        composed = request.compose(self.ask, self.plan, candidate, amends, uptake)
        reckoned = self.purse.reckoned(candidate, len(composed.request.body))
        if reckoned is not candidate:
            composed = request.compose(self.ask, self.plan, reckoned, amends, uptake)
        size = len(composed.request.body)
        worst = self.purse.worst(reckoned, amends, size)
        try:
            self.purse.afford(worst, (beside.intent.worst_units or 0) if beside else 0, candidate.model)
        except ByteError as error:
            error.reply = self.unanswered(candidate)
            raise
        self._begun = number
        self._left_out[number] = amends.left_out
        intent = self._intent(number, candidate, worst)
        return Try(
            leg=number,
            intent=intent,
            claim=self.purse.claim(intent, candidate, amends, size),
            request=composed.request,
            timeouts=patience(self.plan.timeouts, candidate, {**self.plan.defaults, **self.ask.params}),
            voice=voice,
            held=composed.held,
            ledger_required=self.deck.config.ledger_required,
            estimate=self._estimator(candidate),
            clean=self.deck.clean,
            is_local=candidate.route == "local",
        )

    def _estimator(self, candidate: Candidate) -> Callable[[Usage], int | None]:
        info, minutes = candidate.info, self.deck.utc_minutes
        return lambda usage: None if info is None else catalog.estimate(info, usage, minutes)

    def _intent(self, number: int, candidate: Candidate, worst: int | None) -> Intent:
        return Intent(
            attempt=f"{self.ask.id}-{number}",
            request=self.ask.id,
            number=number,
            task=self.plan.task,
            model=candidate.model,
            key=self.ask.key,
            streamed=self.ask.streamed,
            worst_units=worst,
            upstream_key=self.ask.upstream_key,
        )

    def record(self, tried: Tried, job: Try, candidate: Candidate) -> None:
        """An attempt is over: the clock, the money, the words, what to tell."""
        took, self.at, self.deadline = tried.at - self.at, tried.at, tried.deadline
        if tried.is_refused:
            if job.leg == self._begun:  # its number is the next one's
                self._begun -= 1
            return
        if self._kept_since is not None:
            self._kept_since += took  # what an attempt took was not waited for
        self._count(job, tried.record)
        for note in tried.notes:
            self.note(note)
        if tried.reply.usage is not None:
            self._usages.append(tried.reply.usage)
        if tried.fault is not None:
            self.story.broke(tried, candidate)
            if len(tried.reply.text) >= len(self._best.text):
                self._best = tried.reply

    def note(self, sentence: str) -> None:
        """Something that the caller should be told, once."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def patience(self) -> float:
        """Seconds that the request may still wait for its own limits and budgets, from the first time that one kept
        it back."""
        if self._kept_since is None:
            self._kept_since = self.at
        return min(self._kept_since + self.deck.config.limit_wait, self.deadline) - self.at

    def lost(self, job: Try, settlement: Settlement) -> None:
        """An attempt lost its race: it has a row, and perhaps a cost."""
        self._count(job, record_of(job.intent, settlement))

    def _count(self, job: Try, record: Attempt) -> None:
        self._attempts[job.leg] = record
        self.purse.spend(record.cost_units, job.intent.worst_units)

    def rival(self) -> Candidate | None:
        """Who starts as well where the first one is late; None where that is not wanted, or nobody is left."""
        if not self.plan.policy.hedge or self.story.is_told:
            return None
        return next((one for one in self.queue if one.route not in self.gone), None)

    def verdict(self, finishes: Sequence[Finish[Tried]], candidate: Candidate, rival: Candidate) -> Tried:
        """What a race comes to. Raises what an attempt raised that decides it."""
        last = finishes[-1]
        if last.spoke and last.error is not None:
            raise last.error
        if last.result is not None and (last.spoke or last.result.fault is None):
            if last.place == 1:
                self.queue.remove(rival)
                if any(one.result is None and one.error is None for one in finishes):
                    self.queue.appendleft(candidate)  # it lost: slow, not broken
            return last.result
        first = next(one for one in finishes if one.place == 0)
        if first.result is None:
            raise first.error or last.error or RuntimeError("a race without an end")
        return first.result

    def goes_on(self, tried: Tried) -> bool:
        """Whether anyone else is to be asked after an attempt that failed; who, then stands in the queue."""
        candidate = self.candidate(tried)
        if tried.fault is None or self.at >= self.deadline:
            return False
        row = TABLE[tried.fault.code]
        if self._is_hopeless(tried, row) or not self.story.may_go_on:
            return False
        if row.then == "elsewhere":
            self.gone.add(candidate.route)
        most = min(max(1, row.retries), self.deck.config.retries)
        broken = self._breaks.get(candidate.model, 0)
        if tried.shown and not row.amend and broken < most:
            # It spoke, so it may speak again, once all others have been asked; what could be mended was, in its turn.
            self._breaks[candidate.model] = broken + 1
            self.queue.append(candidate)
        if not self.queue and (anew := self.story.begin_anew()) is not None:
            self.queue.append(anew)
        return True

    def _is_hopeless(self, tried: Tried, row: Row) -> bool:
        """Whether nobody else would answer either."""
        if row.then == "once":
            return [one.outcome for one in self._attempts.values()].count(tried.record.outcome) > 1
        # What one model has begun to answer is no invalid request: another one's refusal is its own.
        if row.then != "stop" or (self.story.is_told and row.error is InvalidRequest):
            return False
        # What passes, as an account's limit a minute, is waited for by whoever goes on with the words.
        return not (tried.shown and row.retries)

    def reply(self, tried: Tried) -> Reply:
        """What there is of an answer, whole or not."""
        found = self._found(tried)
        candidate = self.candidate(tried)
        return replace(
            found,
            id=self.ask.id,
            task=self.plan.task,
            model=found.model or candidate.model,
            model_name=candidate.name,
            requested_model=candidate.model,
            why=candidate.why,
            usage=total(self._usages),
            generation_id=tried.record.generation_id,
            attempts=self._told_attempts(),
            notes=self._told_notes(tried),
            first_token=tried.record.first_token,
            seconds=self.at - self.began,
        )

    def _found(self, tried: Tried) -> Reply:
        if tried.fault is None:
            return tried.reply if tried.voice is None else self.story.whole(tried.voice, tried.reply)
        if self.story.is_told:
            return self.story.reply()
        return tried.reply if tried.held else self._best

    def candidate(self, tried: Tried) -> Candidate:
        """Who was asked in an attempt."""
        return next(one for one in self.plan.candidates if one.model == tried.record.model)

    def _told_attempts(self) -> tuple[Attempt, ...]:
        """In the order in which they were begun."""
        return tuple(self._attempts[number] for number in sorted(self._attempts))

    def _told_notes(self, tried: Tried) -> tuple[str, ...]:
        if not any(self._left_out.values()):
            return tuple(self._notes)
        left_out = self._left_out[next(leg for leg, one in self._attempts.items() if one is tried.record)]
        return (*self._notes, compact.note(left_out)) if left_out else tuple(self._notes)

    def unanswered(self, candidate: Candidate) -> Reply:
        """What there is of an answer where a candidate could not even be asked."""
        return replace(
            self.story.reply() if self.story.is_told else self._best,
            id=self.ask.id,
            task=self.plan.task,
            requested_model=candidate.model,
            usage=total(self._usages),
            attempts=self._told_attempts(),
            notes=tuple(self._notes),
        )


class Turn:
    """One model's turn: what is changed of the request for it, and how often it has failed."""

    def __init__(self, run: Run, candidate: Candidate, last: bool) -> None:
        self._run, self._candidate, self._last = run, candidate, last
        self._amends = run.amends(candidate)
        self._failed: dict[str, int] = {}
        self._refusals = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a limit or a budget has kept it back before."""
        return self._refusals > 0

    def job(self) -> Try:
        """The next attempt. Raises BudgetExceeded where it might cost too much."""
        return self._run.job(self._candidate, self._amends)

    def after(self, fault: Fault, job: Try) -> retry.Verdict:
        """What follows from a failure before the first word: again, changed or not, or no more."""
        run, row = self._run, TABLE[fault.code]
        if row.then == "larger":
            run.leave_smaller(self._candidate)
        if self._is_mended(fault, row.amend):
            return retry.Verdict("again")
        tries = self._failed[fault.code] = self._failed.get(fault.code, 0) + 1
        return retry.decide(
            fault,
            tries=tries,
            repeats=sum(self._failed.values()) - 1,
            most=run.deck.config.retries,
            last=self._last,
            remaining=run.deadline - run.at,
            chance=retry.chance(job.intent.attempt),
            may_repeat=run.deck.health.model(self._candidate.model).may_repeat,
        )

    def kept_back(self, fault: Fault, job: Try) -> retry.Verdict:
        """What follows where a limit or a budget has refused: again, once it may go or shortened, or the next."""
        self._refusals += 1
        wait = fault.retry_after
        if wait is None:  # held by an attempt that runs: nobody knows for how long
            # The exponent is bounded before the power is taken: 2 ** 2000 is no float.
            wait = min(_LAST_LOOK, _FIRST_LOOK * 2 ** min(self._refusals, 16))
        if TABLE[fault.code].retries > 0 and wait <= self._run.patience():
            return retry.Verdict("again", wait)
        if not fault.affordable_units or self._run.queue:  # a cheaper one may pay for a whole answer
            return retry.NEXT
        size, units = len(job.request.body), fault.affordable_units
        capped = self._run.purse.capped(self._candidate, self._amends, size, units)
        if capped is None:
            return retry.NEXT
        self._run.note(f"max_tokens is {capped.cap}: what a budget has left pays for no more.")
        self._amends = capped
        return retry.Verdict("again")

    def _is_mended(self, fault: Fault, amend: str) -> bool:
        run = self._run
        if amend == "user_turn" and run.story.without_prefill(self._candidate):
            return True
        if amend == "compacted" and run.queue:
            return False  # words are left out only where nobody is left who might hold them all
        changed = request.amended(self._amends, amend, fault, run.ask, run.plan, self._candidate)
        self._amends = changed or self._amends
        return changed is not None
