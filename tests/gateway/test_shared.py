"""One answer that several requests hear: its pace, who pays, who may still join, and what makes requests equal. And the
turns before it, by ten thousand random schedules."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck import AsyncHub
from bytedeck.errors import StreamBroken
from bytedeck.events import Started
from bytedeck.gateway.cache import replay
from bytedeck.gateway.cache.answers import Answers
from bytedeck.gateway.cache.shared import LEAD, Listener, Shared
from bytedeck.gateway.chat import ChatCompletions
from bytedeck.gateway.exchange import Exchange
from bytedeck.gateway.load import Gate, Overloaded
from bytedeck.types import Ask, Attempt, Delta, Reply, Usage

ASK = Ask(id="a" * 32, messages=({"role": "user", "content": "hi"},), streamed=True)
PAID = Attempt(model="m", outcome="truncated", cost_units=7, quality="reported")
REPLY = Reply(text="words", model="m", finish_reason="stop", usage=Usage(cost_units=7), attempts=(PAID,))


class Source:
    """What drives an answer: as many words as it is asked for, or an error after some."""

    result = REPLY

    def __init__(self, most: int = 10**9, error: Exception | None = None) -> None:
        self.most, self.error = most, error
        self.asked = 0
        self.has_left = False

    async def advance(self) -> list[Delta] | None:
        await asyncio.sleep(0)
        if self.asked < self.most:
            self.asked += 1
            return [Delta(text="word ")]
        if self.error is not None:
            raise self.error
        return None

    def leave(self) -> None:
        self.has_left = True


def begun(source: Source, count: int = 1) -> tuple[Shared, list[Listener]]:
    """An answer on its way, and who listens."""

    async def begin() -> Source:
        return source

    shared = Shared(streamed=True)
    shared.task = asyncio.create_task(shared.run(begin()))
    return shared, [Listener(shared, ASK, is_first=not place) for place in range(count)]


async def _heard(listener: Listener) -> None:
    while await listener.advance():
        pass


async def _settled(turns: int = 200) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_the_source_waits_for_the_fastest() -> None:
    """Nobody reads: it is held back, however much there would be. One reads on: the others hold nobody up. He leaves, and
    those who stand still hold it again."""
    source = Source()
    shared, (fast, slow) = begun(source, 2)
    await _settled()
    assert source.asked <= LEAD + 2
    await slow.advance()
    for _ in range(50):
        assert await fast.advance()
    assert fast.heard > 3 * LEAD > slow.heard
    fast.leave()
    await _settled()
    before = source.asked
    await _settled()
    assert source.asked == before <= fast.heard + LEAD + 2
    slow.leave()
    slow.leave()
    await _settled()
    assert source.has_left
    assert shared.is_over


async def test_an_error_is_paid_once() -> None:
    """All hear it; what its attempts cost is told to the first one alone."""
    error = StreamBroken("It broke off.", code="truncated", retry_after=3, reply=REPLY)
    _, listeners = begun(Source(2, error), 3)
    told: list[StreamBroken] = []
    for listener in listeners:
        with pytest.raises(StreamBroken, match="broke off") as caught:
            await _heard(listener)
        told.append(caught.value)
    costs = [[one.cost_units for one in each.attempts] for each in told]
    assert costs == [[7], [0], [0]]
    assert {(each.code, each.retry_after, each.partial_text) for each in told} == {("truncated", 3, "words")}


async def test_the_last_moment() -> None:
    """An answer that is whole, and just being written down, is heard by who comes then; one that all have left is not."""
    shared, (first,) = begun(Source(3))
    while await first.advance():
        pass
    first.leave()
    assert shared.suits(ASK)
    late = Listener(shared, ASK, is_first=False)
    assert await late.advance() == [Delta(text="word ")] * 3
    assert await late.advance() is None
    assert late.result.attempts[0].cost_units == 0
    shared, (only,) = begun(Source())
    await _settled(5)
    only.leave()
    assert not shared.suits(ASK)


@pytest.mark.parametrize(
    ("first", "other", "is_one"),
    [("error", "error", True), ("error", "continue", False)],
)
async def test_ways_to_fail_over_are_apart(
    first: Any, other: Any, is_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wants an answer gone on with does not share the end of one that is not."""
    results: list[str] = []
    gate = Gate(9, 9)
    answers = Answers(gate, results.append)
    async with AsyncHub() as hub, hub.testing("words"):
        monkeypatch.setitem(hub.house.config.tasks, "coding", _cached(hub))  # type: ignore[arg-type]
        begin = answers.begin(hub, {})
        asks = [_asked(hub, policy) for policy in (first, other)]
        both = [await begin(ask, []) for ask in asks]
        for one in both:
            while await one.advance():
                pass
            one.leave()
        await answers.aclose()
    assert results == ["miss", "coalesced" if is_one else "miss"]
    assert (gate.inside, gate.waiting) == (0, 0)


def _cached(hub: AsyncHub) -> Any:
    return replace(hub.house.config.tasks["coding"], cache=60.0)


def _asked(hub: AsyncHub, failover: Any = None, **params: Any) -> Ask:
    return hub.house.ask(
        "hi", task="coding", model="", system="", timeout=None, max_cost=None, headers=None, params=params,
        streamed=True, policy=failover,
    )  # fmt: skip


SCHEMA = '{"type":"json_schema","json_schema":{"name":"x","schema":{"properties":{"a":{},"b":{}}}}}'
OTHER = '{"type":"json_schema","json_schema":{"name":"x","schema":{"properties":{"b":{},"a":{}}}}}'


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        ({"temperature": 1, "top_p": 1}, {"top_p": 1, "temperature": 1}, True),
        ({"logit_bias": {"1": 2, "3": 4}}, {"logit_bias": {"3": 4, "1": 2}}, True),
        ({"stream_options": {"include_usage": True}, "session_id": "s"}, {}, True),
        ({"response_format": json.loads(SCHEMA)}, {"response_format": json.loads(SCHEMA)}, True),
        ({"response_format": json.loads(SCHEMA)}, {"response_format": json.loads(OTHER)}, False),
        ({"tools": [{"a": 1}, {"b": 1}]}, {"tools": [{"b": 1}, {"a": 1}]}, False),
        ({"seed": 1}, {"seed": True}, False),
        ({"seed": 1}, {"seed": "1"}, False),
        ({"n": 1}, {}, False),
        ({"user": "ada"}, {"user": "eve"}, False),
        ({"stop": "\u00e9"}, {"stop": "e\u0301"}, False),
    ],
)
async def test_equal_questions(one: dict[str, Any], other: dict[str, Any], is_equal: bool) -> None:
    """What may change the answer makes another question: also the order of a schema's properties, in which they come."""
    async with AsyncHub() as hub, hub.testing("words"):
        keys = [
            replay.key_of(ask, hub.house.plan(ask), hub.house.config)
            for ask in (_asked(hub, **one), _asked(hub, **other))
        ]
    assert (keys[0] == keys[1]) is is_equal


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\n",
        b"{}",
        b"{}\nNaN-",
        b'{"text":5}\n',
        b'{"extra":{"a":' + b"[" * 100_000 + b"\n",
        b"{}\n1\r\nX: y",
        b"\xff\n",
    ],
)
def test_what_cannot_be_read_was_not_kept(value: bytes) -> None:
    """Cut, of another shape, or of another hand: a miss, and nothing of it gets into a header."""
    found = replay.read(value)
    assert found is None or found[1] == ""


# -- held up at the end


async def test_a_sign_of_life_that_nobody_takes() -> None:
    """The gateway ends while a heartbeat is stuck on its way: the stream is still told why, as its protocol has it."""
    sent: list[bytes] = []
    taken = asyncio.Event()

    async def send(message: Any) -> None:
        if message.get("body", b"").startswith(b": byte\n"):
            beating.set()
            await taken.wait()
        sent.append(message.get("body", b""))

    class Late(Source):
        async def advance(self) -> list[Delta] | None:
            if self.asked:
                await asyncio.Event().wait()
            self.asked = 1
            await stuck.wait()
            return [Delta(event=Started(model="m", attempt=1)), Delta(text="word")]

    async def begin(ask: Ask, told: Any) -> Late:
        return Late()

    stuck, beating = asyncio.Event(), asyncio.Event()
    skin = ChatCompletions()
    call = skin.read(b'{"messages":[{"role":"user","content":"hi"}],"stream":true}')
    exchange = Exchange(skin, call, ASK, send, begin, 0)
    task = asyncio.create_task(exchange.run(0.001))
    await asyncio.wait_for(beating.wait(), 10)
    beat = exchange._beat
    await asyncio.sleep(0.01)
    assert exchange._beat is beat  # and no second one behind it
    stuck.set()
    await _settled(5)
    exchange.interrupt("closing")
    await _settled(5)
    taken.set()
    await task
    assert b"being shut down" in sent[-1]
    assert exchange.error is not None


# -- ten thousand schedules


async def _one(gate: Gate, key: str, chance: random.Random) -> None:
    """Enter, stay, leave; or be refused."""
    try:
        await gate.enter(key)
    except Overloaded:
        return
    try:
        assert gate.inside <= gate.most
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
    finally:
        gate.leave()


async def _schedule(chance: random.Random) -> None:
    gate = Gate(chance.randint(1, 3), chance.randint(0, 5))
    tasks: list[asyncio.Task[None]] = []
    act: list[Callable[[], object]] = [
        lambda: tasks.append(asyncio.create_task(_one(gate, chance.choice("abc"), chance))),
        lambda: tasks and chance.choice(tasks).cancel(),
    ]
    for _ in range(chance.randint(3, 14)):
        chance.choice(act)()
        assert 0 <= gate.waiting <= gate.most_waiting
        for _ in range(chance.randrange(2)):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (gate.inside, gate.waiting, gate._lines) == (0, 0, {})


async def test_no_schedule_loses_a_turn() -> None:
    """Whoever comes, goes, is refused or is cancelled, in whatever order: in the end all turns are free."""
    for seed in range(10_000):
        await _schedule(random.Random(seed))
