"""The page of a request that is passed through to one model: embeddings, rerank. It shares with a chat what an attempt
is (row, limits, budgets, settlement) and when it is worth another one; nothing of it is translated.

    name → guard → call → settle
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .call import bound, retry
from .call.attempt import Tried, Try, attempt
from .call.compact import BYTES_PER_TOKEN
from .call.steps import Flow, pause
from .call.whole import Whole
from .claims import MOST_UNITS
from .errors import TABLE, InvalidRequest, NoWayToAnswer, error_from
from .guard import access, rules
from .route import catalog, resolve
from .route.choose import WAYS
from .route.order import by_health
from .run import Deck
from .types import Ask, Attempt, Candidate, Fault, Intent, Plan, Reply, Request, Usage

_FIRST_LOOK, _LAST_LOOK = 0.025, 1.0
"""Seconds between two looks whether others have given back what they hold of a budget."""
_OWN_KEY_FEE = 20
"""As in `purse`."""
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Parcel(Struct, kw_only=True):
    """What is passed through, and what came back."""

    path: str
    """`/embeddings`, say."""
    body: bytes
    """As the caller sent it."""
    returned: Whole = msgspec.field(default_factory=Whole)


def relay(ask: Ask, deck: Deck, parcel: Parcel, at: float) -> Flow[Reply]:
    """The whole request, begun at the monotonic moment `at`: the attempts are told in the Reply, the answer stands in
    the parcel. Raises a ByteError; where the upstream has said no by a status, its words stand in the parcel, too.

    `ask`: one model, and the body's other fields as `params`.
    """
    journey, failed = _Journey(ask, deck, parcel, at), None
    while True:
        job = journey.job()
        tried = yield from attempt(job, journey.at, journey.deadline, parcel.returned.exchange)
        journey.record(tried)
        if tried.fault is None:
            return journey.reply(tried)
        verdict = journey.verdict(tried.fault, tried.is_refused, job)
        if not tried.is_refused or failed is None:
            failed = tried  # what failed is told, and not what kept it from being asked again
        if verdict.move != "again" and failed.fault is not None:
            raise error_from(failed.fault, journey.reply(failed))
        if verdict.wait:
            journey.at = yield from pause(journey.at + verdict.wait)


class _Journey:
    """What a request gathers on its way."""

    def __init__(self, ask: Ask, deck: Deck, parcel: Parcel, at: float) -> None:
        self._ask, self._deck, self._parcel = ask, deck, parcel
        self._candidate, self._plan = _planned(ask, deck)
        self._body = _body(ask, parcel, self._candidate, self._plan)
        self.began = self.at = at
        self.deadline = at + deck.config.timeouts.total
        self._attempts: list[Attempt] = []
        self._failed: dict[str, int] = {}
        self._refusals = 0
        self._kept_since: float | None = None

    def job(self) -> Try:
        """The next attempt."""
        ask, deck, candidate = self._ask, self._deck, self._candidate
        number, size = len(self._attempts) + 1, len(self._body)
        intent = Intent(
            attempt=f"{ask.id}-{number}",
            request=ask.id,
            number=number,
            task="",
            model=candidate.model,
            key=ask.key,
            streamed=False,
            worst_units=_worst(ask, self._plan, candidate, size, deck.utc_minutes),
            upstream_key=ask.upstream_key,
        )
        info = candidate.info
        held = rules.beside(deck.config.rules, ask.caller)
        name = "" if info is None else info.alias_target or info.id
        return Try(
            leg=number,
            intent=intent,
            claim=rules.claim(held, intent, size // BYTES_PER_TOKEN + 1, model=name),
            request=Request(
                route="openrouter",
                path=self._parcel.path,
                body=self._body,
                headers=ask.headers,
                connect_timeout=deck.config.timeouts.connect,
            ),
            timeouts=deck.config.timeouts,
            voice=None,
            held=False,
            ledger_required=deck.config.ledger_required,
            estimate=self._estimate,
            clean=deck.clean,
        )

    def _estimate(self, usage: Usage) -> int | None:
        info = self._candidate.info
        return None if info is None else catalog.estimate(info, usage, self._deck.utc_minutes)

    def record(self, tried: Tried) -> None:
        """An attempt is over."""
        took, self.at, self.deadline = tried.at - self.at, tried.at, tried.deadline
        if tried.is_refused:
            return
        self._attempts.append(tried.record)
        if self._kept_since is not None:
            self._kept_since += took  # what an attempt took was not waited for

    def verdict(self, fault: Fault, is_refused: bool, job: Try) -> retry.Verdict:
        """What follows from a failure: again, or no more."""
        if is_refused:
            return self._kept_back(fault)
        tries = self._failed[fault.code] = self._failed.get(fault.code, 0) + 1
        return retry.decide(
            fault,
            tries=tries,
            repeats=sum(self._failed.values()) - 1,
            most=self._deck.config.retries,
            last=True,
            remaining=self.deadline - self.at,
            chance=retry.chance(job.intent.attempt),
        )

    def _kept_back(self, fault: Fault) -> retry.Verdict:
        """Where a limit or a budget has refused: again once it may go, if that is soon."""
        self._refusals += 1
        if self._kept_since is None:
            self._kept_since = self.at
        wait = fault.retry_after
        if wait is None:
            wait = min(_LAST_LOOK, _FIRST_LOOK * 2 ** min(self._refusals, 16))
        left = min(self._kept_since + self._deck.config.limit_wait, self.deadline) - self.at
        return retry.Verdict("again", wait) if TABLE[fault.code].retries and wait <= left else retry.STOP

    def reply(self, tried: Tried) -> Reply:
        """What is known of it."""
        return replace(
            tried.reply,
            id=self._ask.id,
            model=tried.reply.model or self._candidate.model,
            model_name=self._candidate.name,
            requested_model=self._candidate.model,
            attempts=tuple(self._attempts),
            notes=tried.notes,
            seconds=self.at - self.began,
        )


def _planned(ask: Ask, deck: Deck) -> tuple[Candidate, Plan]:
    """The one model that is asked. Raises InvalidRequest, NoWayToAnswer, PermissionRefused, or the key's own fault."""
    named = resolve.resolve(ask.models[0], deck.config, deck.catalog)
    if named.id.startswith((resolve.BYTE, "local/")):
        raise InvalidRequest(
            f"{named.id} holds conversations, and makes neither embeddings nor a ranking.",
            hint=("Name a model that does, such as openai/text-embedding-3-small.",),
        )
    if not deck.has_key:
        raise NoWayToAnswer(
            f"{named.id} is served by OpenRouter, and there is no OPENROUTER_API_KEY.", hint=WAYS[:1]
        )
    access.admit_request(ask)
    candidate = Candidate(
        model=named.id,
        name=resolve.display_name(named.id, deck.config, deck.catalog),
        route="openrouter",
        why="you named it",
        info=deck.catalog.find(named.id) if deck.catalog else None,
    )
    notes: list[str] = []
    chain = access.admitted(ask.caller, (candidate,), notes)
    if ask.caller is not None:
        access.admit_named(ask.caller, named.id)
    chain = by_health(chain, deck.health, ask.upstream_key or ask.key, notes)
    held = rules.beside(deck.config.rules, ask.caller)
    is_bound = any(budget.hard for budget in rules.budgets(held, ask.key, ""))
    return chain[0], Plan(candidates=chain, task="", is_bound=is_bound)


def _body(ask: Ask, parcel: Parcel, candidate: Candidate, plan: Plan) -> bytes:
    """The caller's own bytes, unless a name of ours stands for the model, or something hangs on it that we have read them
    right: of a field that stands there twice the upstream may take the other one."""
    fields: dict[str, Any] = {"model": candidate.model, **ask.params}
    bounded = bound.with_ceiling(fields, candidate) if plan.is_bound else fields
    is_narrow = plan.is_bound or (ask.caller is not None and bool(ask.caller.models or ask.caller.tasks))
    if not is_narrow and candidate.model == ask.models[0]:
        return parcel.body
    return _encode(bounded)


def _worst(ask: Ask, plan: Plan, candidate: Candidate, size: int, utc_minutes: int) -> int | None:
    """What it can cost at most: each byte a token of the prompt, and no answer to speak of; None where no price bounds
    it, as with pictures."""
    info = bound.priced(ask, candidate)
    if info is None or not bound.is_bounded(ask, plan, candidate) or not _is_text(ask.params):
        return None
    worst = catalog.worst_case(info, size + _again(ask.params), 1, utc_minutes)
    if worst is None:
        return None
    worst += -(-worst // _OWN_KEY_FEE)
    return worst if worst <= MOST_UNITS else None


def _again(fields: Mapping[str, Any]) -> int:
    """Bytes that are billed beyond those that are sent: a ranking reads the query anew for each document."""
    query, documents = fields.get("query"), fields.get("documents")
    many = len(documents) if isinstance(documents, list) else 0
    return len(query.encode("utf-8", "replace")) * many if isinstance(query, str) else 0


def _is_text(fields: Mapping[str, Any]) -> bool:
    """Whether all that is sent is text or tokens, so that its bytes bound its price."""
    said = [fields.get(name) for name in ("input", "query", "documents")]
    flat = [part for one in said for part in (one if isinstance(one, list) else (one,))]
    return all(
        part is None
        or isinstance(part, str | int)
        or (isinstance(part, list) and all(isinstance(token, int) for token in part))
        or (isinstance(part, dict) and part.keys() == {"text"} and isinstance(part["text"], str))
        for part in flat
    )


__all__ = ["Parcel", "relay"]
