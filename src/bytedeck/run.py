"""What a request knows and gathers on its way through the page: who is still to be asked, what was told and spent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

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

    # What an answer at the first attempt leaves as it is stands here, and is replaced, never changed.
    gone: frozenset[Route] = frozenset()
    """Upstreams that cannot be reached."""
    _begun = 0
    _best: Reply | None = None
    """The most words that a failed attempt brought, where nothing was shown."""
    _breaks: Mapping[str, int] = MappingProxyType({})
    _kept_since: float | None = None
    """When a limit or a budget first kept an attempt back."""
    _left_out: Mapping[int, int] = MappingProxyType({})
    """Attempt → how many of the oldest messages it went without, once one did."""
    _story: Story | None = None

    def __init__(self, ask: Ask, deck: Deck, chosen: Plan, at: float) -> None:
        self.ask = ask
        self.deck = deck
        self.plan = chosen
        self.began = self.at = at
        self.deadline = at + chosen.timeouts.total
        chain = chosen.candidates if ask.models else chosen.candidates[:MODELS_PER_REQUEST]
        self.queue = deque(chain)
        """Who is still to be asked, in order."""
        self.purse = Purse(ask, chosen, deck.config, deck.utc_minutes)
        self._attempts: dict[int, Attempt] = {}
        self._usages: list[Usage] = []
        self._notes = list(chosen.notes)

    @property
    def story(self) -> Story:
        """What the caller has been told. Who gets the answer whole, at the first attempt, needs none."""
        if self._story is None:
            self._story = Story(self.ask, self.plan)
        return self._story

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
        ask, plan, deck = self.ask, self.plan, self.deck
        number = self._begun + 1
        voice = self.story.voice(candidate, number) if ask.streamed else None
        uptake = FRESH if voice is None else voice.uptake
        composed = request.compose(ask, plan, candidate, amends, uptake)
        reckoned = self.purse.reckoned(candidate, len(composed.request.body)) if plan.is_bound else candidate
        if reckoned is not candidate:
            composed = request.compose(ask, plan, reckoned, amends, uptake)
        size = len(composed.request.body)
        worst = self.purse.worst(reckoned, composed.cap, size)
        if ask.max_cost_units is not None:
            self._afford(candidate, worst, beside)
        self._begun = number
        if amends.left_out or self._left_out:  # the number may have been one's that was kept back
            self._left_out = {**self._left_out, number: amends.left_out}
        intent = Intent(
            attempt=f"{ask.id}-{number}",
            request=ask.id,
            number=number,
            task=plan.task,
            model=candidate.model,
            key=ask.key,
            streamed=ask.streamed,
            worst_units=worst,
            upstream_key=ask.upstream_key,
        )
        return Try(
            leg=number,
            intent=intent,
            claim=self.purse.claim(intent, candidate, composed.cap, size),
            request=composed.request,
            timeouts=patience(plan.timeouts, candidate, {**plan.defaults, **ask.params}),
            voice=voice,
            held=composed.held,
            ledger_required=deck.config.ledger_required,
            estimate=partial(catalog.estimate, candidate.info, utc_minutes=deck.utc_minutes),
            clean=deck.clean,
            is_local=candidate.route == "local",
        )

    def _afford(self, candidate: Candidate, worst: int | None, beside: Try | None) -> None:
        try:
            self.purse.afford(worst, (beside.intent.worst_units or 0) if beside else 0, candidate.model)
        except ByteError as error:
            error.reply = self.unanswered(candidate)
            raise

    def record(self, tried: Tried, job: Try, candidate: Candidate) -> None:
        """An attempt is over: the clock, the money, the words, what to tell."""
        took, self.at, self.deadline = tried.at - self.at, tried.at, tried.deadline
        if tried.is_refused:
            if job.leg == self._begun:  # its number is the next one's
                self._begun -= 1
            return
        if self._kept_since is not None:
            self._kept_since += took  # what an attempt took was not waited for
        self._attempts[job.leg] = tried.record
        self.purse.spend(tried.record.cost_units, job.intent.worst_units)
        for note in tried.notes:
            self.note(note)
        reply = tried.reply
        if reply.usage is not None:
            self._usages.append(reply.usage)
        if tried.fault is not None:
            self.story.broke(tried, candidate)
            if self._best is None or len(reply.text) >= len(self._best.text):
                self._best = reply

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
        record = record_of(job.intent, settlement)
        self._attempts[job.leg] = record
        self.purse.spend(record.cost_units, job.intent.worst_units)

    def rival(self) -> Candidate | None:
        """Who starts as well where the first one is late; None where words have come already, or nobody is left."""
        if self.story.is_told:
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
            self.gone |= {candidate.route}
        most = min(max(1, row.retries), self.deck.config.retries)
        broken = self._breaks.get(candidate.model, 0)
        if tried.shown and not row.amend and broken < most:
            # It spoke, so it may speak again, once all others have been asked; what could be mended was, in its turn.
            self._breaks = {**self._breaks, candidate.model: broken + 1}
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
            notes=self._told_notes(tried) if self._left_out else tuple(self._notes),
            first_token=tried.record.first_token,
            seconds=self.at - self.began,
        )

    def _found(self, tried: Tried) -> Reply:
        if tried.fault is None:
            return tried.reply if tried.voice is None else self.story.whole(tried.voice, tried.reply)
        if self.story.is_told:
            return self.story.reply()
        return tried.reply if tried.held else self._best or Reply()

    def candidate(self, tried: Tried) -> Candidate:
        """Who was asked in an attempt."""
        model = tried.record.model
        for one in self.plan.candidates:
            if one.model == model:
                return one
        raise LookupError(model)

    def _told_attempts(self) -> tuple[Attempt, ...]:
        """In the order in which they were begun."""
        if len(self._attempts) == 1:
            return tuple(self._attempts.values())
        return tuple(map(self._attempts.__getitem__, sorted(self._attempts)))

    def _told_notes(self, tried: Tried) -> tuple[str, ...]:
        """With how much of the conversation the answering attempt went without."""
        leg = next(leg for leg, one in self._attempts.items() if one is tried.record)
        left_out = self._left_out.get(leg)
        return (*self._notes, compact.note(left_out)) if left_out else tuple(self._notes)

    def unanswered(self, candidate: Candidate) -> Reply:
        """What there is of an answer where a candidate could not even be asked."""
        return replace(
            self.story.reply() if self.story.is_told else self._best or Reply(),
            id=self.ask.id,
            task=self.plan.task,
            requested_model=candidate.model,
            usage=total(self._usages),
            attempts=self._told_attempts(),
            notes=tuple(self._notes),
        )


class Turn(Struct):
    """One model's turn: what is changed of the request for it, and how often it has failed."""

    run: Run
    candidate: Candidate
    amends: Amends
    last: bool
    """Whether nobody is left to be asked after it."""
    failed: dict[str, int] = {}
    """Code of a fault → how often it has ended an attempt."""
    refusals: int = 0
    """How often a limit or a budget has kept it back."""

    def after(self, fault: Fault, job: Try) -> retry.Verdict:
        """What follows from a failure before the first word: again, changed or not, or no more."""
        run, row = self.run, TABLE[fault.code]
        if row.then == "larger":
            run.leave_smaller(self.candidate)
        if self._is_mended(fault, row.amend):
            return retry.Verdict("again")
        tries = self.failed[fault.code] = self.failed.get(fault.code, 0) + 1
        return retry.decide(
            fault,
            tries=tries,
            repeats=sum(self.failed.values()) - 1,
            most=run.deck.config.retries,
            last=self.last,
            remaining=run.deadline - run.at,
            chance=retry.chance(job.intent.attempt),
            may_repeat=run.deck.health.model(self.candidate.model).may_repeat,
        )

    def kept_back(self, fault: Fault, job: Try) -> retry.Verdict:
        """What follows where a limit or a budget has refused: again, once it may go or shortened, or the next."""
        self.refusals += 1
        wait = fault.retry_after
        if wait is None:  # held by an attempt that runs: nobody knows for how long
            # The exponent is bounded before the power is taken: 2 ** 2000 is no float.
            wait = min(_LAST_LOOK, _FIRST_LOOK * 2 ** min(self.refusals, 16))
        if TABLE[fault.code].retries > 0 and wait <= self.run.patience():
            return retry.Verdict("again", wait)
        if not fault.affordable_units or self.run.queue:  # a cheaper one may pay for a whole answer
            return retry.NEXT
        size, units = len(job.request.body), fault.affordable_units
        capped = self.run.purse.capped(self.candidate, self.amends, size, units)
        if capped is None:
            return retry.NEXT
        self.run.note(f"max_tokens is {capped.cap}: what a budget has left pays for no more.")
        self.amends = capped
        return retry.Verdict("again")

    def _is_mended(self, fault: Fault, amend: str) -> bool:
        run = self.run
        if amend == "user_turn" and run.story.without_prefill(self.candidate):
            return True
        if amend == "compacted" and run.queue:
            return False  # words are left out only where nobody is left who might hold them all
        changed = request.amended(self.amends, amend, fault, run.ask, run.plan, self.candidate)
        self.amends = changed or self.amends
        return changed is not None
