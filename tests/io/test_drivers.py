"""Both faces against a real server: answers, deadlines, leaving, and one settlement whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from answers import Answer, Hang, Pause, Reset, completion, error, listed, whole, words
from bytedeck import (
    AsyncHub,
    BudgetExceeded,
    ByteError,
    Hub,
    ModelUnavailable,
    StreamBroken,
    Timeouts,
    UpstreamTimeout,
)
from bytedeck.errors import InvalidRequest
from canary import CANARY
from faces import Face
from upstream import Upstream

MODEL = "openai/gpt-4o-mini"


def test_chat_and_stream_say_the_same(face: Face, upstream: Upstream) -> None:
    """The same words, cost and generation, seen live or not."""
    upstream.script(words("Grüße aus Köln 👋"))
    reply = face.chat(model=MODEL)
    text, streamed = face.stream(model=MODEL)
    assert text == reply.text == streamed.text == "Grüße aus Köln 👋"
    assert str(reply.cost) == str(streamed.cost) == "0.000042"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 7
    assert reply.generation_id.startswith("gen-")
    assert [row.outcome for row in face.rows()] == ["answered", "answered"]


def test_a_body_that_is_no_stream(face: Face, upstream: Upstream) -> None:
    """A provider that answers in one piece is read, too."""
    upstream.script(completion("In one piece."))
    assert face.stream(model=MODEL)[0] == "In one piece."


def test_retry_then_answer(face: Face, upstream: Upstream) -> None:
    """A server error is asked again; the failed attempt has its own row and no cost."""
    upstream.script(error(500), words("second try"))
    reply = face.chat(model=MODEL)
    assert reply.text == "second try"
    assert [attempt.outcome for attempt in reply.attempts] == ["server_error", "answered"]
    assert [row.outcome for row in face.rows()] == ["answered", "server_error"]


def test_fall_back_to_the_next_model(face: Face, upstream: Upstream) -> None:
    """A dead model is replaced; the answer names who gave it."""
    upstream.script(error(404, message="No endpoints found for a/dead."), words("alive", model="b/alive"))
    _, reply = face.stream(model=["anthropic/claude-sonnet-4.5", "openai/gpt-4o-mini"])
    assert (reply.model, reply.requested_model) == ("b/alive", "openai/gpt-4o-mini")
    assert [seen.json["model"] for seen in upstream.chats] == [
        "anthropic/claude-sonnet-4.5",
        "openai/gpt-4o-mini",
    ]


def test_a_break_in_mid_stream_keeps_the_words(face: Face, upstream: Upstream) -> None:
    """A typed error with the text so far; the row awaits its reconciliation."""
    upstream.script(words("one two three four").cut(900, Pause(0.05), Reset()))
    seen: list[str] = []
    with pytest.raises(StreamBroken) as caught:
        face.stream(model=MODEL, policy="error", each=lambda delta: seen.append(delta.text))
    assert caught.value.partial_text == "".join(seen) != ""
    assert caught.value.attempts[0].generation_id
    (row,) = face.rows()
    assert (row.outcome, row.state) == ("truncated", "awaiting")


def test_comments_then_silence(face: Face, upstream: Upstream) -> None:
    """Comments every 0.9 × timeout, then silence: the first-event timeout holds on every wire."""
    comment = b": OPENROUTER PROCESSING\n\n"
    steps = (comment, Pause(0.27), comment, Pause(0.27), comment, Hang())
    upstream.script(Answer(headers=words().headers, steps=steps))
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout) as caught:
        face.chat(model=MODEL, timeout=Timeouts(first_event=0.3))
    assert caught.value.code == "first_event_timeout"
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("answer", "bounds", "code"),
    [
        (words().first(Hang()), Timeouts(headers=0.2), "headers_timeout"),
        (words().first(Hang()), Timeouts(total=0.2), "total_timeout"),
        (words("a b c").cut(700, Hang()), Timeouts(idle=0.2), "idle_timeout"),
        (words("a b c d e f g h i j k l m n").paced(0.05), Timeouts(total=0.3), "total_timeout"),
    ],
)  # fmt: skip
def test_phase_timeouts(face: Face, upstream: Upstream, answer: Answer, bounds: Timeouts, code: str) -> None:
    """Each phase has its bound, the upstream is let go at once, and the row says why."""
    upstream.script(answer)
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout) as caught:
        face.stream(model=MODEL, timeout=bounds)
    assert caught.value.code == code
    assert time.monotonic() - began < 1.5
    assert upstream.wait_closed(1, timeout=1.0)[0].by == "client"
    assert face.rows()[0].outcome == code


def test_leaving_closes_the_upstream(face: Face, upstream: Upstream) -> None:
    """Who leaves in mid-stream closes the upstream within a second, and is settled."""
    upstream.script(words("one two three").cut(700, Hang()))
    face.leave_after(1, model=MODEL)
    assert upstream.wait_closed(1, timeout=1.0)[0].by == "client"
    assert face.rows()[0].outcome == "abandoned"
    assert face.verify().ok


def test_the_ledger_of_many(face: Face, upstream: Upstream) -> None:
    """Many requests, one row each, the sum exact."""
    upstream.script(words("x"))
    for _ in range(20):
        face.chat(model=MODEL)
    verification = face.verify()
    assert (verification.attempts, verification.ok) == (20, True)
    assert verification.cost_units == 20 * 42_000_000


def test_threads_share_a_hub(upstream: Upstream) -> None:
    """Eight threads on one hub: every answer its own, every row there."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        upstream.script(lambda seen: words(seen.json["messages"][0]["content"]))

        def ask(n: int) -> bool:
            return hub.chat(f"number {n}", model=MODEL).text == f"number {n}"

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(80)))
        assert hub.verify().attempts == 80


def test_ctrl_c_settles(upstream: Upstream) -> None:
    """Ctrl-C in a blocking read settles the attempt and closes the upstream."""
    upstream.script(words("one two").cut(700, Hang()))
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        stream = hub.stream("hi", model=MODEL)
        next(stream)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        assert upstream.wait_closed(1, timeout=1.0)[0].by == "client"
        hub.house.store.flush()
        assert hub.house.store.rows()[0].outcome == "abandoned"


def test_a_dropped_stream_is_settled_with_a_warning(upstream: Upstream) -> None:
    """The net: who forgets to close is told, and the row is there."""
    upstream.script(words("one two").cut(700, Hang()))
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        stream: Any = hub.stream("hi", model=MODEL)
        next(stream)
        with pytest.warns(ResourceWarning, match="unclosed answer"):
            del stream
        hub.house.store.flush()
        assert hub.house.store.rows()[0].outcome == "abandoned"


def _hub(upstream: Upstream) -> AsyncHub:
    return AsyncHub(api_key=CANARY, base_url=upstream.url)


@pytest.mark.parametrize(
    "answer",
    [words().first(Hang()), words().cut(0, Hang()), words("one two three").cut(700, Hang())],
    ids=["headers", "first event", "words"],
)  # fmt: skip
def test_cancelled_in_each_phase(upstream: Upstream, answer: Answer) -> None:
    """A cancelled task closes the upstream within a second and leaves one settlement."""
    upstream.script(answer)

    async def main() -> None:
        async with _hub(upstream) as hub:
            task = asyncio.create_task(hub.stream("hi", model=MODEL).result())
            await asyncio.to_thread(upstream.wait_requests, 1)
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            closed = await asyncio.to_thread(upstream.wait_closed, 1, 1.0)
            assert closed[0].by == "client"
            verification = await hub.verify()
            assert (verification.attempts, verification.in_flight, verification.ok) == (1, 0, True)

    asyncio.run(main())


def test_cancelled_at_any_turn_of_the_loop(upstream: Upstream) -> None:
    """Wherever a cancellation lands, it comes out, and what was begun is settled once."""
    upstream.script(words("one two three four five six").sliced(60))

    async def main() -> None:
        async with _hub(upstream) as hub:
            await hub.chat("warm", model=MODEL)
            for turns in range(60):
                task = asyncio.create_task(hub.chat("hi", model=MODEL))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    assert task.cancelled()
            await asyncio.sleep(0.05)
            verification = await hub.verify()
            assert verification.ok
            assert verification.in_flight == 0

    asyncio.run(main())


def test_the_callers_own_timeout_is_never_swallowed(upstream: Upstream) -> None:
    """A caller's `asyncio.timeout` at the same instant as ours comes out as its TimeoutError."""
    upstream.script(words().first(Hang()))

    async def main() -> None:
        async with _hub(upstream) as hub:
            loop = asyncio.get_running_loop()
            for n in range(20):
                at = loop.time() + 0.03
                try:
                    async with asyncio.timeout_at(at + (n - 10) * 0.0002):
                        await hub.chat("hi", model=MODEL, timeout=Timeouts(headers=0.03))
                except (TimeoutError, UpstreamTimeout):
                    pass
                task = asyncio.current_task()
                assert task is not None
                assert task.cancelling() == 0
            verification = await hub.verify()
            assert verification.in_flight == 0

    asyncio.run(main())


def test_two_readers_are_an_error(upstream: Upstream) -> None:
    """Two tasks in one stream, or closing while another reads, is told at once."""
    upstream.script(words("one two").cut(700, Hang()))

    async def main() -> None:
        async with _hub(upstream) as hub:
            stream = hub.stream("hi", model=MODEL)
            await anext(stream)
            reading = asyncio.create_task(stream.result())
            await asyncio.sleep(0.05)
            with pytest.raises(RuntimeError, match="already being read"):
                await anext(stream)
            with pytest.raises(RuntimeError, match="cancel that one"):
                await stream.aclose()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    asyncio.run(main())


def test_one_hub_in_two_loops(upstream: Upstream) -> None:
    """A hub outlives its loop: a second `asyncio.run` works."""
    upstream.script(words("again"))
    hub = _hub(upstream)

    async def ask() -> str:
        try:
            return (await hub.chat("hi", model=MODEL)).text
        finally:
            await hub.aclose()

    assert [asyncio.run(ask()) for _ in range(2)] == ["again", "again"]


def test_fifty_at_once(upstream: Upstream) -> None:
    """Fifty streams on one loop, each with its own words."""
    upstream.script(lambda seen: words(seen.json["messages"][0]["content"]).paced(0.01))

    async def main() -> None:
        async with _hub(upstream) as hub:
            replies = await asyncio.gather(
                *(hub.stream(f"say {n} now", model=MODEL).result() for n in range(50))
            )
            assert [reply.text for reply in replies] == [f"say {n} now" for n in range(50)]

    asyncio.run(main())


def test_on_chunk(face: Face, upstream: Upstream) -> None:
    """`on_chunk` gets each piece and the text so far; what it raises ends the stream and settles it."""
    upstream.script(words("a b c").paced(0.01))
    seen: list[tuple[str, str]] = []
    face.stream(model=MODEL, on_chunk=lambda content, full: seen.append((content, full)))
    assert seen[-1][1] == "a b c"
    assert "".join(content for content, _ in seen) == "a b c"

    def bad(content: str, full: str) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        face.stream(model=MODEL, on_chunk=bad)
    assert face.rows()[0].outcome == "abandoned"


def test_unavailable_for_ever(face: Face, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt is told, in their order, with the upstream's own words."""
    monkeypatch.setattr("bytedeck.call.retry.FIRST_BACKOFF", 0.01)
    upstream.script(error(503, message="No capacity"))
    with pytest.raises(ModelUnavailable, match="temporarily unavailable") as caught:
        face.chat(model=MODEL)
    assert caught.value.detail == "No capacity"
    assert [attempt.outcome for attempt in caught.value.attempts] == ["unavailable"] * 3


def test_the_key_is_nowhere(face: Face, upstream: Upstream, tmp_path: Any) -> None:
    """An upstream that echoes the key back: it stands in no error, row, trace or repr."""
    upstream.script(error(400, message=f"bad header: Bearer {CANARY}", raw=f"key={CANARY}"))
    with pytest.raises(ByteError) as caught:
        face.chat(model=MODEL)
    told = [
        str(caught.value),
        caught.value.detail,
        repr(caught.value),
        repr(caught.value.reply),
        repr(face.hub),
    ]
    assert not any(CANARY in text for text in told)
    assert not any(CANARY in repr(row) for row in face.rows())
    for path in (tmp_path / "home").rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"prompt": None}, "The prompt is NoneType"),
        ({"prompt": b"hello"}, "The prompt is bytes"),
        ({"prompt": 5}, "The prompt is int"),
        ({"prompt": {"role": "user", "content": "x"}}, "The prompt is dict"),
        ({"prompt": " \n"}, "empty"),
        ({"prompt": []}, "empty"),
        ({"prompt": [{"role": "king", "content": "x"}]}, "role 'king'"),
        ({"prompt": ["x"]}, r"messages\[0\] is str"),
        ({"model": 5}, "model is 5"),
        ({"model": []}, "model is"),
        ({"model": ["a/b", ""]}, "model is"),
        ({"headers": {"X-A": "b\r\nc: d"}}, "cannot be sent"),
        ({"headers": {"X:A": "b"}}, "cannot be sent"),
        ({"headers": {"X-A": "\u4f60"}}, "cannot be sent"),
        ({"timeout": -1}, "seconds above 0"),
        ({"timeout": "soon"}, "seconds above 0"),
        ({"max_cost": 0.05}, "not as a float|money"),
        ({"max_cost": "-1"}, "above 0"),
    ],
)
def test_arguments_that_cannot_be_meant(face: Face, arguments: dict[str, Any], says: str) -> None:
    """Each is told as the caller's mistake, and nothing is sent."""
    options = {"prompt": "hi", "model": MODEL} | arguments
    with pytest.raises(InvalidRequest, match=says):
        face.chat(options.pop("prompt"), **options)
    assert face.rows() == []


def test_the_rows_name_the_key_by_its_end(face: Face) -> None:
    """The last four signs and no more."""
    face.chat(model=MODEL)
    assert face.rows()[0].key == f"…{CANARY[-4:]}"


def test_a_web_page_is_no_answer(face: Face, upstream: Upstream) -> None:
    """A login page with status 200 is told as what it is."""
    upstream.script(Answer(headers=(("Content-Type", "text/html; charset=utf-8"),), steps=(b"<html>Log in",)))
    with pytest.raises(StreamBroken, match="cannot be read") as caught:
        face.chat(model=MODEL)
    assert "web page" in caught.value.detail


def test_a_number_bounds_the_whole_only(face: Face) -> None:
    """`timeout=300` leaves the task's own bounds as they are."""
    ask = face.hub.house.ask(
        "hi",
        task="coding",
        model="",
        system="",
        timeout=300,
        max_cost=None,
        headers=None,
        params={},
        streamed=False,
    )
    bounds = face.hub.house.plan(ask).timeouts
    assert (bounds.total, bounds.first_event) == (300.0, face.hub.tasks["coding"].timeouts.first_event)


def test_a_pause_is_nobodys_deadline(face: Face, upstream: Upstream) -> None:
    """A Retry-After that is longer than an earlier deadline is waited out, on both faces."""
    upstream.script(error(429, headers=[("Retry-After", "1")]), words("later"))
    assert face.chat(model=MODEL, timeout=Timeouts(idle=0.4, first_event=0.4)).text == "later"


def test_a_second_thread_is_told(upstream: Upstream) -> None:
    """Reading or closing an answer that another thread reads is an error, and harms nothing."""
    upstream.script(words("one two three").cut(700, Pause(0.6), Reset()))
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        stream = hub.stream("hi", model=MODEL)
        next(stream)
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(list, stream)
            time.sleep(0.2)
            with pytest.raises(RuntimeError, match="another thread"):
                next(stream)
            with pytest.raises(RuntimeError, match="another thread"):
                stream.close()
            with pytest.raises(StreamBroken):
                reading.result()


def test_after_a_fork_no_connection_is_shared(upstream: Upstream) -> None:
    """Parent and child each get their own answers."""
    upstream.script(lambda seen: words(seen.json["messages"][0]["content"]).paced(0.01))
    with Hub(api_key=CANARY, base_url=upstream.url, database_url="memory:") as hub:
        hub.chat("warm", model=MODEL)
        child = os.fork()
        if not child:
            text = hub.chat("from the child", model=MODEL).text
            os._exit(0 if text == "from the child" else 1)
        assert hub.chat("from the parent", model=MODEL).text == "from the parent"
        assert os.waitpid(child, 0)[1] == 0


def test_a_bound_skips_what_is_too_dear(face: Face, upstream: Upstream) -> None:
    """A cheaper model further down the chain is asked; what failed is told, not what could not be paid."""
    listed_ = [listed("a/dear", "0.01", "0.01"), listed("b/cheap"), listed("c/cheap")]
    upstream.on("/models/user", whole({"data": listed_}))
    upstream.script(error(404, message="No endpoints found for b/cheap."), words("paid"))
    chain = ["a/dear", "b/cheap", "c/cheap"]
    reply = face.chat(model=chain, max_tokens=50, max_cost="0.01")
    assert [attempt.model for attempt in reply.attempts] == ["b/cheap", "c/cheap"]
    upstream.script(error(401))
    with pytest.raises(ByteError) as caught:
        face.chat(model=["b/cheap", "a/dear"], max_tokens=50, max_cost="0.01")
    assert caught.value.code == "authentication"
    with pytest.raises(BudgetExceeded, match="a/dear"):
        face.chat(model="a/dear", max_tokens=50, max_cost="0.01")


def test_many_at_once_under_a_bound_wait_for_the_prices(upstream: Upstream) -> None:
    """On a fresh home all first calls with a bound wait for the one fetch of the prices."""
    prices = whole({"data": [listed(MODEL)]}).first(Pause(0.2))
    upstream.on("/models/user", prices)
    bound: dict[str, Any] = {"model": MODEL, "max_tokens": 50, "max_cost": "0.05"}

    async def main() -> None:
        async with _hub(upstream) as hub:
            replies = await asyncio.gather(*(hub.chat("hi", **bound) for _ in range(8)))
            assert {reply.text for reply in replies} == {"Hello there."}
            hub.house.models.path.unlink()

    asyncio.run(main())
    with Hub(api_key=CANARY, base_url=upstream.url) as hub, ThreadPoolExecutor(8) as pool:
        assert {r.text for r in pool.map(lambda _: hub.chat("hi", **bound), range(8))} == {"Hello there."}
    assert len([seen for seen in upstream.requests if seen.path.endswith("/models/user")]) == 2


def test_the_prices_are_not_waited_for_past_the_deadline(face: Face, upstream: Upstream) -> None:
    """The request's own time bounds that wait, too."""
    upstream.on("/models/user", words().first(Hang()))
    began = time.monotonic()
    with pytest.raises(BudgetExceeded, match="not known"):
        face.chat(model=MODEL, max_tokens=50, max_cost="0.05", timeout=0.3)
    assert time.monotonic() - began < 2.0
