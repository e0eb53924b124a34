"""Costs that come later: `GET /generation` for what awaits them, in both faces, against a real server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from bytedeck import AsyncHub, Hub
from bytedeck.errors import AuthenticationFailed, ConnectionFailed, RateLimited
from bytedeck.io import lookup
from bytedeck.io.clock import wall as now
from bytedeck.io.memory import MemoryStore
from bytedeck.ledger.lookup import GIVE_UP, GIVE_UP_OTHERS, SOON
from bytedeck.ledger.report import Reconciled
from canary import CANARY
from marks import REQUEST, begin, intent, settlement, unknown
from upstream import Answer, Hang, Reset, Seen, Upstream, error, events, nobody

LABEL = f"…{CANARY[-4:]}"


def record(cost: str = "0.000093", **fields: str) -> bytes:
    """A generation's record, numbers written as the caller says."""
    values = {"usage": cost, "total_cost": cost, "is_byok": "false", "upstream_inference_cost": "null"}
    values |= {"tokens_prompt": "9", "native_tokens_prompt": "10", "native_tokens_completion": "25"} | fields
    inner = ", ".join(f'"{name}": {value}' for name, value in values.items())
    return f'{{"data": {{"id": "gen", {inner}}}}}'.encode()


def body(text: bytes) -> Answer:
    """These bytes as they are: JSON from a dict would not keep a number's own text."""
    return Answer(headers=(("Content-Type", "application/json"),), steps=(text,), chunked=False)


def found(cost: str = "0.000093", **fields: str) -> Answer:
    return body(record(cost, **fields))


NOT_YET = error(404, message="Generation not found")


class Face:
    """A hub with a ledger in memory, whose pauses are kept and not made."""

    def __init__(self, kind: str, url: str, key: str | None = CANARY) -> None:
        self.kind, self.now = kind, now()
        self.waits: list[float] = []
        self.hub: Any = (Hub if kind == "sync" else AsyncHub)(api_key=key, base_url=url)
        self.store = self.hub.house.__dict__["store"] = MemoryStore(lambda: self.now)
        self.hub._sleep = self.waits.append if kind == "sync" else self._slept

    async def _slept(self, seconds: float) -> None:
        self.waits.append(seconds)

    def awaits(self, *names: str, key: str = LABEL, age: int = 0) -> None:
        """Attempts that end `age` microseconds ago, without a cost."""
        self.now = now() - age
        for name in names:
            number = len(self.store.rows()) + 1
            begin(self.store, intent(number, key=key))
            self.store.settle(unknown(number, generation_id=name))

    def reconcile(self, wait: float = 10.0) -> Reconciled:
        if self.kind == "sync":
            found: Reconciled = self.hub.reconcile(wait)
            return found
        return asyncio.run(self._reconcile(wait))

    async def _reconcile(self, wait: float) -> Reconciled:
        try:
            found: Reconciled = await self.hub.reconcile(wait)
            return found
        finally:
            await self.hub.aclose()


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Face]]:
    """Makes faces to a URL."""
    made: list[Face] = []

    def build(url: str, **more: Any) -> Face:
        made.append(Face(request.param, url, **more))
        return made[-1]

    yield build
    for one in made:
        if one.kind == "sync":
            one.hub.close()


@pytest.fixture
def face(make: Callable[..., Face], upstream: Upstream) -> Face:
    return make(upstream.url)


def asked(upstream: Upstream) -> list[str]:
    """The generations that were asked for, in their order."""
    queries = [one.query for one in upstream.requests if one.path.endswith("/generation")]
    return [parse_qs(query)["id"][0] for query in queries]


def test_a_cost_that_comes_later(face: Face, upstream: Upstream) -> None:
    """With the key, by the generation's name, exact to the text; tokens by the model's own tokenizer."""
    upstream.on("/generation", found("9.3e-05", native_tokens_cached="3", native_tokens_reasoning="5"))
    face.awaits("gen-1")
    assert face.reconcile() == Reconciled(found=1, cost_units=93_000_000)
    (row,) = face.store.rows()
    assert (row.cost_units, row.cost_text, row.quality) == (93_000_000, "9.3e-05", "reconciled")
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (10, 25, 35)
    assert (row.cached_tokens, row.reasoning_tokens) == (3, 5)
    (seen,) = [one for one in upstream.requests if one.path.endswith("/generation")]
    assert (seen.method, seen.headers["authorization"]) == ("GET", f"Bearer {CANARY}")
    assert face.waits == []


def test_ones_own_key(face: Face, upstream: Upstream) -> None:
    """The provider's bill is added for a key of one's own, and for no other (USE-01, USE-02)."""

    def answer(seen: Seen) -> Answer:
        is_own = str(seen.query.endswith("own")).lower()
        return found("0.0018", is_byok=is_own, upstream_inference_cost="0.036")

    upstream.on("/generation", answer)
    face.awaits("own", "theirs")
    assert face.reconcile().cost_units == 37_800_000_000 + 1_800_000_000
    theirs, own = face.store.rows()
    assert (own.cost_units, own.upstream_units, own.spend_units) == (1_800_000_000, 36 * 10**9, 378 * 10**8)
    assert theirs.spend_units == theirs.cost_units == 1_800_000_000


def test_only_what_awaits_is_asked_for(face: Face, upstream: Upstream) -> None:
    """Whoever has a cost, no name or no end is left alone; strange names are quoted; the second time nobody is left."""
    upstream.on("/generation", found())
    begin(face.store, intent(1))
    begin(face.store, intent(2))
    face.store.settle(settlement(2))
    begin(face.store, intent(3))
    face.store.settle(unknown(3, generation_id=""))
    face.awaits("gen&id=x", "ü/../?")
    assert face.reconcile().found == 2
    assert sorted(asked(upstream)) == ["gen&id=x", "ü/../?"]
    assert face.reconcile() == Reconciled()
    assert len(asked(upstream)) == 2


def test_a_record_is_waited_for(face: Face, upstream: Upstream) -> None:
    """404 right after the end: asked again after 0.5 s, 1 s, 2 s …, within the time that there is."""
    upstream.on("/generation", NOT_YET, NOT_YET, NOT_YET, found())
    face.awaits("gen-1")
    assert face.reconcile().found == 1
    assert face.waits == [0.5, 1, 2]


def test_waiting_has_an_end(face: Face, upstream: Upstream) -> None:
    """What is not there by then is left for later, and is no failure."""
    upstream.on("/generation", NOT_YET)
    face.awaits("gen-1")
    assert face.reconcile(wait=4.0) == Reconciled(unknown=1)
    assert face.waits == [0.5, 1, 2, 0.5]
    assert face.reconcile(wait=0.0) == Reconciled(unknown=1)
    assert len(asked(upstream)) == 6
    assert face.store.rows()[0].state == "awaiting"


def test_nobody_waits_for_old_ones(face: Face, upstream: Upstream) -> None:
    """What has not come in ten minutes will not come in ten seconds: asked for once a run."""
    upstream.on("/generation", NOT_YET)
    face.awaits("gen-1", age=SOON)
    assert face.reconcile() == Reconciled(unknown=1)
    assert (face.waits, len(asked(upstream))) == ([], 1)


def test_what_never_comes_is_given_up(face: Face, upstream: Upstream) -> None:
    """After a day, after thirty where another key had asked; then nobody asks again."""
    upstream.on("/generation", NOT_YET)
    face.awaits("gen-1", age=GIVE_UP)
    face.awaits("gen-2", key="…else", age=GIVE_UP)
    face.awaits("gen-3", key="…else", age=GIVE_UP_OTHERS)
    assert face.reconcile() == Reconciled(unknown=1, given_up=2)
    assert face.reconcile() == Reconciled(unknown=1)
    assert asked(upstream)[3:] == ["gen-2"]
    assert face.store.verify().unknown == 3


def test_an_old_one_that_is_there_is_found(face: Face, upstream: Upstream) -> None:
    """Age alone gives nothing up."""
    upstream.on("/generation", found())
    face.awaits("gen-1", age=40 * GIVE_UP)
    assert face.reconcile().found == 1


def test_making_way(face: Face, upstream: Upstream) -> None:
    """429: everybody waits as long as it says, then goes on where they were."""
    upstream.on("/generation", error(429, headers=[("Retry-After", "3")]), found())
    face.awaits(*(f"gen-{number}" for number in range(1, 31)))
    told = face.reconcile()
    assert (told.found, told.unknown, told.stopped) == (30, 0, None)
    assert face.waits == [3]


@pytest.mark.parametrize(
    ("answer", "wait", "error_type", "waits"),
    [
        (error(429, headers=[("Retry-After", "3")]), 2.0, RateLimited, []),
        (error(429), 60.0, RateLimited, [0.5, 1]),
        (error(401), 60.0, AuthenticationFailed, []),
        (events().then(Reset()), 60.0, ConnectionFailed, [0.5, 1]),
    ],
)
def test_who_cannot_be_asked_is_not_pestered(
    face: Face, upstream: Upstream, answer: Answer, wait: float, error_type: type, waits: list[float]
) -> None:
    """No time to wait, no right to ask, three times in a row nothing: it ends, says why, and all is left for later."""
    upstream.on("/generation", answer)
    face.awaits(*(f"gen-{number}" for number in range(1, 101)))
    told = face.reconcile(wait)
    assert isinstance(told.stopped, error_type)
    assert (told.found, told.unknown, face.waits) == (0, 100, waits)
    assert len(asked(upstream)) <= lookup.AT_ONCE * (len(waits) + 1)


def test_no_network(make: Callable[..., Face]) -> None:
    """Nobody there: told after three tries, without the key."""
    face = make(nobody())
    face.awaits("gen-1")
    told = face.reconcile()
    assert isinstance(told.stopped, ConnectionFailed)
    assert (told.unknown, face.waits) == (1, [0.5, 1])


@pytest.mark.parametrize(
    "answer",
    [
        error(500),
        error(502),
        error(503),
        body(b"<html>"),
        body(b'{"data": null}'),
        body(record("-1", total_cost="-1")),
        body(record('"free"', total_cost="true")),
    ],
)
def test_one_bad_record_does_not_keep_the_others(face: Face, upstream: Upstream, answer: Answer) -> None:
    """A record that cannot be had or read, or that tells no sum: the others are told, it is left for later."""
    upstream.on("/generation", lambda seen: answer if seen.query.endswith("bad") else found())
    face.awaits("bad", "gen-1", "gen-2")
    told = face.reconcile(wait=1.5)
    assert (told.found, told.unknown, told.stopped) == (2, 1, None)
    assert face.waits == [0.5, 1]


def test_nothing_but_bad_records_is_told(face: Face, upstream: Upstream) -> None:
    """Where no answer at all was of use, it says what came instead."""
    upstream.on("/generation", error(500))
    face.awaits("gen-1", "gen-2")
    told = face.reconcile(wait=0.0)
    assert told.unknown == 2
    assert told.stopped is not None
    assert told.stopped.code == "server_error"


def test_without_a_key(make: Callable[..., Face], upstream: Upstream) -> None:
    """It is said what is missing, if anything is to be asked for; nothing is sent."""
    face = make(upstream.url, key=None)
    assert face.reconcile() == Reconciled()
    face.awaits("gen-1")
    told = face.reconcile()
    assert isinstance(told.stopped, AuthenticationFailed)
    assert (told.unknown, asked(upstream)) == (1, [])
    assert any("byte keys set" in line for line in told.stopped.hint)


def test_pages(face: Face, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of attempts: no name twice, none left out."""
    monkeypatch.setattr(lookup, "_PAGE", 7)
    upstream.on("/generation", found())
    names = [f"gen-{number}" for number in range(100)]
    face.awaits(*names)
    assert face.reconcile().found == 100
    assert sorted(asked(upstream)) == sorted(names)


def test_a_few_at_once(face: Face, upstream: Upstream) -> None:
    """As many as are allowed, and no more."""
    together = threading.Barrier(lookup.AT_ONCE)
    working: list[int] = []

    def answer(seen: Seen) -> Answer:
        working.append(sum(thread.name == "bytedeck-lookup" for thread in threading.enumerate()))
        together.wait(10)  # nobody is answered before all of them have asked
        return found()

    upstream.on("/generation", answer)
    face.awaits(*(f"gen-{number}" for number in range(2 * lookup.AT_ONCE)))
    assert face.reconcile().found == 2 * lookup.AT_ONCE
    assert max(working) == lookup.AT_ONCE


def test_two_at_once(upstream: Upstream) -> None:
    """Both find all; each cost counts once."""
    upstream.on("/generation", found())
    one, other = Face("sync", upstream.url), Face("sync", upstream.url)
    one.awaits(*(f"gen-{number}" for number in range(20)))
    other.hub.house.__dict__["store"] = one.store
    thread = threading.Thread(target=other.reconcile)
    thread.start()
    one.reconcile()
    thread.join()
    assert one.store.usage().total.cost_units == 20 * 93_000_000
    one.hub.close()
    other.hub.close()


def test_where_there_are_no_threads(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, then."""
    upstream.on("/generation", found())
    face = Face("sync", upstream.url)
    face.awaits("gen-1", "gen-2", "gen-3")

    begun = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("bytedeck"):  # the upstream has some, too
            raise RuntimeError("can't start new thread")
        begun(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert face.reconcile().found == 3
    face.hub.close()


def test_a_bug_is_not_swallowed(upstream: Upstream) -> None:
    """What is no answer and no failure of the network comes out, and nobody waits for ever."""
    face = Face("sync", upstream.url)
    face.awaits("gen-1", "gen-2")

    class Broken:
        def line(self, request: object) -> object:
            raise ZeroDivisionError

        def close(self) -> None: ...

    face.hub._wire = Broken()
    with pytest.raises(ZeroDivisionError):
        face.reconcile()
    face.hub.close()


def test_cancelled(upstream: Upstream) -> None:
    """Whoever cancels is free at once: the line is let go of, and what was told by then is in the ledger."""
    hangs = threading.Event()

    def answer(seen: Seen) -> Answer:
        if seen.query.endswith("hangs"):
            hangs.set()
            return events().then(Hang())
        return found()

    upstream.on("/generation", answer)
    face = Face("async", upstream.url)
    face.awaits("gen-1")

    async def run() -> None:
        assert (await face.hub.reconcile()).found == 1
        face.awaits("hangs")
        task = asyncio.ensure_future(face.hub.reconcile())
        await asyncio.to_thread(hangs.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await face.hub.aclose()

    asyncio.run(run())  # ends only when the look-up's threads have
    assert face.store.verify().awaiting == 1


def test_cancelled_while_it_waits(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does its thread wait to the end of a pause."""
    upstream.on("/generation", NOT_YET)
    face, ended = Face("async", upstream.url), threading.Event()
    face.awaits("gen-1")
    run_ = lookup.Lookup.run

    def watched(self: lookup.Lookup, wait: float) -> Reconciled:
        try:
            return run_(self, wait)
        finally:
            ended.set()

    monkeypatch.setattr(lookup.Lookup, "run", watched)

    async def run() -> bool:
        pausing, over = asyncio.Event(), asyncio.Event()

        async def pause(seconds: float) -> None:
            pausing.set()
            await over.wait()

        face.hub._sleep = pause
        task = asyncio.ensure_future(face.hub.reconcile())
        await pausing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        try:
            return await asyncio.to_thread(ended.wait, 5)
        finally:
            over.set()
            await face.hub.aclose()

    assert asyncio.run(run())


def test_in_a_testing_block(upstream: Upstream) -> None:
    """A script answers for the upstream here as well, without a key."""
    with Hub(base_url=upstream.url) as hub, hub.testing(record()) as script:
        begin(hub.house.store, intent())
        hub.house.store.settle(unknown())
        assert hub.reconcile().found == 1
    assert (script.requests, upstream.requests) == ([{}], [])


def test_the_key_is_never_told(upstream: Upstream) -> None:
    """An upstream that repeats the key in its words does not get it into ours."""
    upstream.on("/generation", error(401, message=f"no such key: {CANARY}"))
    face = Face("sync", upstream.url)
    face.awaits("gen-1")
    told = face.reconcile()
    assert told.stopped is not None
    assert CANARY not in json.dumps([str(told.stopped), told.stopped.detail, repr(told)])
    assert REQUEST in face.store.rows()[0].request
    face.hub.close()
