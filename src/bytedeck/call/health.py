"""What attempts say of models and keys, folded into a `Health`. Pure: moments come in as data.

Whom an outcome blames stands in `errors.TABLE`. What a subject's state is follows from its attempts in the order
of their ends, whatever the order in which they are told: processes that share a ledger agree. Memory is bounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..errors import TABLE
from ..health import UNKNOWN, Health, Learnt, Lesson, Seen, Standing
from ..types import Settlement
from . import breaker
from .breaker import CLOSED, LENGTHS, RATE_OF, RATE_WINDOW, SECOND, Breaker, Kind

LESSONS: Mapping[str, Lesson] = {
    "prefill_refused": "no_prefill",
    "reasoning_mandatory": "reasoning_mandatory",
}
"""What an outcome teaches of the model."""
FORGET_LESSONS = 30 * 86_400 * SECOND
"""Models change."""
WINDOW = 300 * SECOND
"""Of the figures."""
HORIZON = 660 * SECOND
"""Older attempts say nothing any more: the longest opening, and a minute."""
MOST_ATTEMPTS = 200
"""Kept of each model and key."""
MOST_SUBJECTS = 500
MOST_RUNNING = 10_000
PROBE_PATIENCE = 60 * SECOND
"""An attempt that tries and has not ended by then no longer keeps others from trying."""
LEASE = 5 * SECOND
"""How long a request that may try has to begin."""
FRESH = SECOND
"""How old a snapshot's figures may be."""
SET_BACK = 5 * SECOND
"""A clock that goes back further than this was set: what was seen before says nothing any more."""

_LOCAL = "local/"


def _kinds(outcome: str, blamed: str) -> tuple[Kind | None, Kind | None]:
    kind: Kind = "gone" if outcome in LENGTHS else "failed"
    return kind if blamed == "model" else None, kind if blamed == "key" else None


_KINDS: Mapping[str, tuple[Kind | None, Kind | None]] = {
    **{code: _kinds(code, row.blames) for code, row in TABLE.items()},
    "answered": ("ok", "ok"),
}
"""What an outcome says of the model, and of the key; None: nothing."""
_NOTHING = None, None


class _Event(Struct, frozen=True, gc=False):
    """What is kept of an attempt."""

    ended: int
    kind: Kind | None
    """None: it says nothing, but was measured."""
    seen: Seen


def _order(event: _Event) -> tuple[int, int, str]:
    return event.ended, event.seen.begun, event.seen.outcome


class _Subject:
    """A model or a key: its latest attempts, and what follows from them."""

    __slots__ = (
        "_latest", "_well", "base", "breaker", "claim", "events", "is_timed", "looked", "name", "running",
        "standing", "trail",
    )  # fmt: skip

    def __init__(self, name: str, is_timed: bool) -> None:
        self.name = name
        self.is_timed = is_timed
        """Whether how quick it was is told: a model; a key is neither quick nor slow."""
        self.events: list[_Event] = []
        """In the order of their ends."""
        self.trail: list[Breaker] = []
        """The breaker after each of them."""
        self.base = self.breaker = CLOSED
        """The breaker before the first of them, and after the last."""
        self._well: deque[Seen] = deque(maxlen=MOST_ATTEMPTS)
        """Successes that changed nothing but figures, and ended after all events: they become some when those are read."""
        self._latest = 0
        """When the last of all ended."""
        self.running: dict[str, int] = {}
        """When each running attempt began, of those that may close the breaker."""
        self.claim = ("", 0)
        """The request that may try, and since when."""
        self.standing = UNKNOWN
        self.looked = 0
        """When the standing was made; 0: something has happened since."""

    def add(self, seen: Seen, ended: int, kind: Kind | None) -> bool:
        """Take one more attempt into account, at its place. Whether that may change how it is doing, not only figures."""
        was = self.breaker
        self.looked = 0
        if ended > self._latest:
            self._latest = ended
            if kind == "ok" and not (was.until or was.failures):
                self._well.append(seen)
                return False
        self.gather()
        self._insert(_Event(ended, kind, seen))
        self._trim()
        return was.until > 0 or self.breaker is not was

    def gather(self) -> None:
        """What went well is among the events from now on."""
        if self._well:
            self.events += [_Event(seen.ended or 0, "ok", seen) for seen in self._well]
            self.trail += [self.breaker] * len(self._well)
            self._well.clear()
            self._trim()

    def _trim(self) -> None:
        surplus = len(self.events) - MOST_ATTEMPTS
        if surplus > 0:
            self.base = self.trail[surplus - 1]
            del self.events[:surplus], self.trail[:surplus]

    def _insert(self, event: _Event) -> None:
        """What follows from those that ended later follows anew."""
        events, trail = self.events, self.trail
        place = len(events)
        if events and event.ended <= events[-1].ended:
            place = bisect_right(events, _order(event), key=_order)
        events.insert(place, event)
        del trail[place:]
        for at in range(place, len(events)):
            trail.append(self._after(trail[-1] if trail else self.base, events[at], at))
        self.breaker = trail[-1]

    def _after(self, before: Breaker, event: _Event, place: int) -> Breaker:
        """The breaker after the attempt in this place, by the one before it."""
        kind, seen = event.kind, event.seen
        if kind is None or (kind == "ok" and not (before.until or before.failures)):
            return before
        may_crowd = kind == "failed" and not before.until
        crowded = may_crowd and _too_many(self._lately(before, event.ended, place))
        return breaker.step(before, self.name, kind, seen.outcome, seen.begun, event.ended, crowded=crowded)

    def _lately(self, before: Breaker, now: int, place: int) -> Iterator[Kind]:
        """What the last minute's attempts say, back from a place; none that began before the breaker last closed."""
        for at in range(place, -1, -1):
            event = self.events[at]
            if event.ended <= now - RATE_WINDOW:
                return
            if event.kind is not None and event.seen.begun >= before.closed:
                yield event.kind

    def is_probing(self, now: int) -> bool:
        """Whether an attempt that may close the breaker is on its way, or will be at once."""
        if self.claim[0] and 0 <= now - self.claim[1] < LEASE:
            return True
        until = self.breaker.until
        return any(begun >= until and 0 <= now - begun < PROBE_PATIENCE for begun in self.running.values())

    def look(self, now: int) -> Standing:
        """How it is doing at a moment."""
        state = breaker.state(self.breaker, now)
        lately = state == "closed" and _too_many(self._lately(self.breaker, now, len(self.events) - 1))
        within = [one for one in self.events if one.ended > now - WINDOW]
        telling = [one for one in within if one.kind is not None]
        failed = [one for one in telling if one.kind != "ok"]
        timed = [one.seen for one in within if (one.seen.first_token or 0) >= 0] if self.is_timed else []
        measured = sorted(one.first_token for one in timed if one.first_token is not None)
        self.looked = now
        self.standing = Standing(
            state=state,
            probing=state == "half_open" and self.is_probing(now),
            failures=self.breaker.failures,
            attempts=len(telling),
            error_rate=len(failed) / len(telling) if telling else 0.0,
            first_token_p50=_rank(measured, 50),
            first_token_p95=_rank(measured, 95),
            measured=len(measured),
            tokens_per_second=_speed(timed),
            again_in=(self.breaker.until - now) / SECOND if state == "open" else None,
            may_repeat=state == "closed" and not lately,
            **self._last_failure(now),
        )
        return self.standing

    def _last_failure(self, now: int) -> dict[str, Any]:
        for event in reversed(self.events):
            if event.kind not in (None, "ok") and (self.breaker.until or event.ended > now - HORIZON):
                return {"last_failure": event.seen.outcome, "failed_ago": max(0, now - event.ended) / SECOND}
        return {}

    def is_calm(self) -> bool:
        """Whether it has not failed lately, and nobody tries it: what goes well then changes only its figures."""
        return self.standing.may_repeat and not (self.breaker.until or self.breaker.failures or self.running)

    def is_stale(self, now: int) -> bool:
        """Whether the standing has to be made anew: something happened, or time alone has changed it."""
        if not self.looked or self.breaker.until or self.standing.last_failure:
            return True
        return bool(self.events) and self.events[0].ended <= now - WINDOW

    def is_over(self, now: int) -> bool:
        """Whether nothing is left to tell of it."""
        is_old = not self.events or self.events[-1].ended <= now - HORIZON
        return is_old and self.breaker.until <= now and not self.is_probing(now)


class Book:
    """All that is seen of models and keys. One caller at a time."""

    def __init__(self) -> None:
        self._models: dict[str, _Subject] = {}
        self._keys: dict[str, _Subject] = {}
        self._running: dict[str, Seen] = {}
        self._learnt: dict[str, dict[Lesson, int]] = {}
        self._snapshot = Health()
        self._good_until = 0
        self._now = 0
        self._is_calm = False
        """Whether all are (`_Subject.is_calm`), from a look until one changes: what begins then tries nobody."""

    def begun(self, seen: Seen) -> None:
        """An attempt was begun."""
        if seen.attempt in self._running:
            return
        if len(self._running) >= MOST_RUNNING:
            self._end(next(iter(self._running)))
        self._running[seen.attempt] = seen
        if self._is_calm:
            return
        for subject in (self._models.get(seen.model), self._keys.get(seen.key)):
            if subject is None or not subject.breaker.until:
                continue
            subject.running[seen.attempt] = seen.begun
            if subject.claim[0] == seen.attempt.rpartition("-")[0]:
                subject.claim = ("", 0)
            self._changed(subject)

    def ended(self, seen: Seen) -> None:
        """An attempt has ended; `begun` may have told of it before."""
        self._end(seen.attempt)
        self._take(seen, seen.ended or 0)

    def settled(self, settlement: Settlement, at: int) -> None:
        """An attempt of which `begun` told has ended at this moment; of another one nothing is known."""
        begun = self._end(settlement.attempt)
        if begun is None:
            return
        seen = replace(
            begun,
            ended=at,
            outcome=settlement.outcome,
            first_token=settlement.first_token,
            seconds=settlement.seconds,
            tokens=0 if settlement.usage is None else settlement.usage.completion_tokens,
        )
        self._take(seen, at)

    def _take(self, seen: Seen, ended: int) -> None:
        outcome = seen.outcome
        if outcome in LESSONS:
            self.learn(Learnt(seen.model, outcome, ended))
        of_model, of_key = _KINDS.get(outcome, _NOTHING)
        kept = seen if of_model is not None else _measured(seen)
        if kept is not None:
            self._tell(self._models, seen.model, kept, ended, of_model)
        # A model on this machine needs no key.
        if of_key is not None and seen.key and not seen.model.startswith(_LOCAL):
            self._tell(self._keys, seen.key, seen, ended, of_key)

    def _tell(
        self, subjects: dict[str, _Subject], name: str, seen: Seen, ended: int, kind: Kind | None
    ) -> None:
        subject = subjects.pop(name, None)
        if subject is None:
            subject = _Subject(name, subjects is self._models)
            if len(subjects) >= MOST_SUBJECTS:  # the one that was asked the longest ago goes
                del subjects[next(iter(subjects))]
        subjects[name] = subject
        # What goes well and changes nothing can wait for the next look.
        if subject.add(seen, ended, kind):
            self._changed(subject)

    def learn(self, lesson: Learnt) -> None:
        """A model has taught something; what is not known to teach does nothing."""
        what = LESSONS.get(lesson.outcome)
        if what is None:
            return
        if lesson.model not in self._learnt and len(self._learnt) >= MOST_SUBJECTS:
            del self._learnt[next(iter(self._learnt))]
        lessons = self._learnt.setdefault(lesson.model, {})
        if what not in lessons:
            self._good_until = 0
        lessons[what] = max(lesson.at, lessons.get(what, 0))

    def snapshot(self, now: int) -> Health:
        """How all of them are doing."""
        if self._now - SET_BACK <= now < self._good_until:
            return self._snapshot
        return self._look(now)

    def claim_model(self, model: str, request: str, now: int) -> bool:
        """Whether this request is the one that may try the half-open model. It is, for `LEASE`, if nobody else does."""
        return self._claim(self._models.get(model), request, now)

    def claim_key(self, label: str, request: str, now: int) -> bool:
        """As `claim_model`."""
        return self._claim(self._keys.get(label), request, now)

    def _claim(self, subject: _Subject | None, request: str, now: int) -> bool:
        if subject is None or breaker.state(subject.breaker, now) != "half_open":
            return True
        if subject.is_probing(now):
            return subject.claim[0] == request
        subject.claim = (request, now)
        self._changed(subject)
        return True

    def _end(self, attempt: str) -> Seen | None:
        """It does not run any more; what `begun` told of it."""
        seen = self._running.pop(attempt, None)
        if seen is None or self._is_calm:
            return seen
        for subject in (self._models.get(seen.model), self._keys.get(seen.key)):
            if subject is not None and subject.running and subject.running.pop(attempt, 0):
                self._changed(subject)
        return seen

    def _changed(self, subject: _Subject) -> None:
        """The snapshot is not true any more."""
        subject.looked = 0
        self._good_until = 0
        self._is_calm = False

    def _look(self, now: int) -> Health:
        if now < self._now - SET_BACK:
            self._models, self._keys, self._running = {}, {}, {}
        self._now = now
        while self._running and (first := next(iter(self._running.values()))).begun <= now - HORIZON:
            self._end(first.attempt)
        models, keys = _standings(self._models, now), _standings(self._keys, now)
        every = (*models.values(), *keys.values())
        subjects = (*self._models.values(), *self._keys.values())
        self._is_calm = all(one.is_calm() for one in subjects)
        turns = (one.again_in for one in every if one.again_in is not None)
        self._good_until = now + min(FRESH, *(int(one * SECOND) for one in turns), FRESH)
        self._snapshot = Health(
            models=models,
            keys=keys,
            learnt=self._lessons(now),
            due=any(one.state == "half_open" and not one.probing for one in every),
            calm=self._is_calm,
        )
        return self._snapshot

    def _lessons(self, now: int) -> dict[str, frozenset[Lesson]]:
        lasting = {
            model: frozenset(what for what, at in lessons.items() if now - FORGET_LESSONS < at)
            for model, lessons in self._learnt.items()
        }
        return {model: lessons for model, lessons in lasting.items() if lessons}


def _measured(seen: Seen) -> Seen | None:
    """What is kept of an attempt that says nothing of the model that was asked: how quick it was; None: nothing."""
    if seen.first_token is not None and seen.first_token >= 0:
        return seen
    # It would have taken longer: left out, only the quick ones would be measured.
    return replace(seen, first_token=seen.seconds) if seen.outcome == "lost_race" else None


def _standings(subjects: dict[str, _Subject], now: int) -> dict[str, Standing]:
    for one in subjects.values():
        one.gather()
    for name in [name for name, one in subjects.items() if one.is_over(now)]:
        del subjects[name]
    return {
        name: one.look(now) if one.is_stale(now) else one.standing
        for name, one in subjects.items()
        if one.events
    }


def _too_many(kinds: Iterable[Kind]) -> bool:
    """At least half of at least `RATE_OF`."""
    told = list(kinds)
    return len(told) >= RATE_OF and 2 * sum(kind != "ok" for kind in told) >= len(told)


def _rank(ordered: list[float], percent: int) -> float | None:
    """The nearest-rank percentile of sorted values."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def _speed(seen: Iterable[Seen]) -> float | None:
    """Tokens per second, from the first token to the end, over all answers that took any time."""
    timed = [
        (one.tokens, one.seconds - one.first_token)
        for one in seen
        if one.tokens and one.first_token is not None and one.first_token < one.seconds
    ]
    return sum(tokens for tokens, _ in timed) / sum(seconds for _, seconds in timed) if timed else None
