"""Hub: the blocking door. It builds a pipeline and drives it. `async_client.py` has its twin.

Both faces have the same methods with the same arguments; the async one is awaited.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .face import CATALOGUE_GRACE, Face, moment, page
from .house import Explanation
from .io.drive import Drive
from .ledger.report import By, Reconciled, Report, Verification
from .limits import Limits
from .relay import Parcel
from .streams import OnChunk, Stream
from .types import Ask, Failover, Message, Policy, Reply, Timeouts

if TYPE_CHECKING:
    from .arena.types import Fallback, Fighter, Turns
    from .config import Config
    from .debates.debate import Debate
    from .io.testing import Script
    from .io.wire import Wire
    from .league.league import League


class Hub(Face):
    """The blocking face. Threads may share one; close it, or use it as a context manager."""

    def _prepare(self) -> None:
        self._wire: Wire | None = None
        self._lock = threading.Lock()
        self._sleep: Callable[[float], None] = time.sleep
        self._fetching: threading.Thread | None = None

    def chat(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Failover | Policy | None = None,
        **params: Any,
    ) -> Reply:
        """Ask, and return the whole answer.

        `prompt`: a text, or messages as the wire has them. `task`: a task's name ("coding") or "auto".
        `model`: an id, an alias, or several: a chain. Neither: the task `general`. `system`: put before
        the messages. `timeout`: seconds for the whole request, or `Timeouts`. `max_cost`: USD that all
        attempts together may cost ("0.05"); what could cost more is not sent. `headers`: sent along.
        `policy`: "continue", "restart" or "error" for an answer that breaks off, or a `Policy`.
        `params`: any other field of the request (temperature, tools, reasoning, …), passed on untouched.

        Raises a ByteError with the partial text, the attempts and the upstream's own words.
        An answer that `max_tokens` cut is returned, with `finish_reason` "length".
        """
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, policy=policy, params=params, streamed=False,
        )  # fmt: skip
        drive = self._drive(ask)
        while drive.advance() is not None:
            pass
        return drive.result

    def stream(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Failover | Policy | None = None,
        on_chunk: OnChunk | None = None,
        can_erase: bool = True,
        **params: Any,
    ) -> Stream:
        """Ask, and iterate over the answer while it comes. Arguments and errors as for `chat`.

        An answer that breaks off is gone on with; what happens is told by `delta.event`. After a `Seam` with
        `erase` that many characters have to be taken back; with `can_erase=False` this ends in an error instead.
        `on_chunk(content, full)` is called with each piece of text and the whole text so far.
        Nothing is sent before the first iteration.
        """
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, policy=policy, params=params, streamed=True,
            can_erase=can_erase,
        )  # fmt: skip
        return Stream(lambda: self._drive(ask), on_chunk)

    def explain(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Failover | Policy | None = None,
        **params: Any,
    ) -> Explanation:
        """Which models would be asked, why, what the first could cost at worst, and what limits would say.

        Nothing is sent to a model.
        """
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, policy=policy, params=params, streamed=False,
        )  # fmt: skip
        if self._may_fetch():
            self.house.models.fetch(self.wire)
        return self.house.explain(ask)

    def debate(
        self,
        topic: str,
        fighters: Iterable[Fighter | str],
        *,
        rounds: int = 3,
        turns: Turns = "simultaneous",
        max_tokens: int = 500,
        temperature: float | None = 0.8,
        judges: int | Iterable[str] = 3,
        commentator: str | None = None,
        budget: Decimal | str | None = None,
        task: str = "general",
        fallback: Fallback = "void",
        vote_seconds: float = 0.0,
        public: bool = False,
    ) -> Debate:
        """Let models argue over a topic, and iterate over what happens (`bytedeck.arena.types`), while it does.

        `fighters`: two to four, each a model's name or a `Fighter`. `rounds`: 1 to 9. `turns`: "simultaneous", or
        "alternating", which is held twice, in either order. `max_tokens`: of a turn's text. `judges`: how many of the pool
        (0: nobody), or their names. `commentator`: who sums it up; "": nobody, None: the one of the settings. `budget`: USD
        that all of it may cost ("0.50"): where that has no room for what is next, it pauses (`Debate.allow`). `task`: what
        it is rated under. `fallback`: whether a turn that another model spoke is "void", or counts for who "spoke".
        `vote_seconds`: how long people may vote after each round. `public`: whether other keys may watch it.

        Raises InvalidRequest and UnknownModel before anything is sent. Close it, or read it to its end; who leaves may go on
        with `resume`.
        """
        from .debates.debate import Debate
        from .debates.making import Asked

        asked = Asked(
            kind="debate", topic=topic, fighters=fighters, rounds=rounds, turns=turns, max_tokens=max_tokens,
            temperature=temperature, judges=judges, commentator=commentator, budget=budget, task=task,
            fallback=fallback, vote_seconds=vote_seconds, public=public,
        )  # fmt: skip
        return Debate(self, asked, self._record)

    def battle(
        self,
        prompt: str,
        models: Iterable[Fighter | str],
        *,
        max_tokens: int = 1000,
        temperature: float | None = None,
        judges: int | Iterable[str] = 0,
        budget: Decimal | str | None = None,
        task: str = "general",
        fallback: Fallback = "void",
        public: bool = False,
    ) -> Debate:
        """Ask two models the same, and iterate over what happens. As `debate`, in one round and without stances."""
        from .debates.debate import Debate
        from .debates.making import Asked

        asked = Asked(
            kind="battle", topic=prompt, fighters=models, max_tokens=max_tokens, temperature=temperature,
            judges=judges, budget=budget, task=task, fallback=fallback, public=public,
        )  # fmt: skip
        return Debate(self, asked, self._record)

    def resume(self, match: str, *, budget: Decimal | str | None = None) -> Debate:
        """Take up a match that was left, cut off or paused: by its id, or the beginning of it.

        What had not ended is asked for once more. `budget`: USD that all of it may cost from now on, what was spent
        included; None: as before. Raises InvalidRequest where it is over, or goes on elsewhere.
        """
        from .debates.debate import Debate
        from .debates.making import budget_units
        from .debates.opening import Again

        return Debate(self, Again(match=match, budget_units=budget_units(budget)), self._record)

    def _record(self, match: str) -> tuple[str, ...]:
        """A match is over: its results count. What is to be said of it."""
        return self.arena.record(match).notes

    @property
    def limits(self) -> Limits:
        """Whether a model may be asked now, and how limits and budgets stand."""
        return Limits(self.house, self.explain)

    @property
    def arena(self) -> League:
        """Matches, ratings, and what follows from them for the tasks."""
        from .league.league import League

        return League(self.house, self.battle)

    def usage(self, by: By = "task", since: datetime | str | None = None) -> Report:
        """What was spent, by task, model, key or day, since a moment ("7d", "24h", "2026-11-01", "today")."""
        return self._settled().usage(by, moment(since))

    def verify(self) -> Verification:
        """Look through the whole ledger."""
        return self._settled().verify()

    def reconcile(self, wait: float = 10.0) -> Reconciled:
        """Ask the upstream what attempts have cost whose end did not tell it, and settle what dead processes left open.

        `wait`: seconds that records may take that can come any moment. Only an unusable ledger raises: LedgerError.
        """
        from .io.lookup import reconcile

        return reconcile(self.house, self.wire, wait, self._sleep)

    @contextmanager
    def testing(self, *script: Any) -> Iterator[Script]:
        """Within the block a script answers instead of a model, without network, key or waiting.

        Each item answers one attempt: a text, a `Reply`, a ByteError class or code ("rate_limited", or
        with the words that came before: `("truncated", "Hel")`), or raw bytes of a stream. The last one repeats.
        The rows go to a ledger in memory.
        """
        from .io.testing import Script

        scripted = Script(*script)
        kept = self._wire, self._sleep
        self._wire, self._sleep = scripted, scripted.sleep
        try:
            with self.house.scripting():
                yield scripted
        finally:
            self._wire, self._sleep = kept

    @property
    def wire(self) -> Wire:
        """The network, made at first use."""
        with self._lock:
            if self._wire is None:
                from .io.http import HttpWire

                self._wire = HttpWire(self.house.endpoints())
            return self._wire

    def adopt(self, config: Config) -> Wire | None:
        """Another configuration holds for what is asked from now on (`House.reread`). Where requests go elsewhere by it, the
        connections of before are returned: to be closed once no request needs them any more."""
        if not self.house.adopt(config):
            return None
        with self._lock:
            wire, self._wire = self._wire, None
        return wire

    def look_up(self, models: Sequence[str]) -> None:
        """Ask for the catalogue, where ours is old, or knows one of these models' names not. Raises nothing."""
        if self._lacks(models):
            self.house.models.fetch(self.wire)

    def answer(self, ask: Ask) -> Drive[Reply]:
        """A request that is ready, for who serves others: what drives it. Each `advance()` gives what came at once,
        and None at the end; then `result` is the Reply. `leave()` ends it before. Raises what `chat` raises."""
        return self._drive(ask)

    def relay(self, ask: Ask, parcel: Parcel) -> Drive[Reply]:
        """A request that is passed through (`relay.relay`), for who serves others; driven as `answer`."""
        return self._drive(ask, parcel)

    def _drive(self, ask: Ask, parcel: Parcel | None = None) -> Drive[Reply]:
        began = time.monotonic()
        if not self.house.models.settled(ask.models):
            self._renew(ask)
        flow = page(ask, parcel, self.house.deck(ask), began)
        return Drive(flow, self.house.receiver, self.wire, sleep=self._sleep)

    def _renew(self, ask: Ask) -> None:
        """Let the catalogue come where it is due, or a request needs it, which then waits for it for a while."""
        wire, patience = self.wire, self._patience(ask)
        with self._lock:
            fetching = self._fetching
            is_running = fetching is not None and fetching.is_alive()
            if not is_running and (
                self._may_fetch() or (patience and self.house.models.current() is not None)
            ):
                fetching = self._fetching = threading.Thread(
                    target=self.house.models.fetch, args=(wire,), name="bytedeck-catalogue", daemon=True
                )
                fetching.start()
        if patience and fetching is not None:
            fetching.join(patience)

    def close(self) -> None:
        """Write what is still to be written, let go of connections, end the local model. Idempotent."""
        if self._fetching is not None:
            self._fetching.join(CATALOGUE_GRACE)
        self.house.close()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
