"""Every small schedule of the engine: cuts, faults, leaving and cancelling, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bytedeck import pipeline
from bytedeck.codec.encode import chat_stream
from bytedeck.config import load
from bytedeck.errors import ByteError, LedgerError, RateLimited
from bytedeck.pipeline import Deck
from bytedeck.types import Ask, Policy, Reply, Timeouts, ToolCall, Usage
from world import Act, World

MODEL = "maker/model"
USAGE = Usage(
    prompt_tokens=7, completion_tokens=9, total_tokens=16, cost_units=93_000_000, cost_text="0.000093"
)
ANSWERS = {
    "text": Reply(text="Hello wörld 👋, this is it.", finish_reason="stop", usage=USAGE),
    "reasoning": Reply(text="42", reasoning="six times seven", finish_reason="stop", usage=USAGE),
    "tool": Reply(
        tool_calls=(ToolCall(0, "call_1", "weather", '{"city":"Köln"}'),),
        finish_reason="tool_calls",
        usage=USAGE,
    ),
}
STREAMS = {name: b"".join(chat_stream(reply)) for name, reply in ANSWERS.items()}
MAY_END_A_CUT_STREAM = ("truncated", "malformed", "first_event_timeout", "idle_timeout", "empty_answer")
GARBAGE = b"data: {\x00\xff nonsense\n\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Builds a request's generator."""
    config = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"})

    def build(**changes: Any) -> Any:
        ask: dict[str, Any] = {
            "id": "0123456789abcdef" * 2,
            "messages": ({"role": "user", "content": "hi"},),
            "models": (MODEL,),
            "streamed": True,
        }
        deck: dict[str, Any] = {}
        for name, value in changes.items():
            (deck if name in Deck.__struct_fields__ else ask)[name] = value
        base = {
            "config": config,
            "catalog": None,
            "has_key": True,
            "has_local": False,
            "local_reason": "",
            "clean": str,
            "utc_minutes": 0,
        }
        return pipeline.answer(Ask(**ask), Deck(**(base | deck)), 1000.0)

    return build


def ends(stream: bytes, at: int) -> Mapping[str, Act]:
    """Each way in which a stream can break at a byte."""
    head = stream[:at]
    return {
        "end": Act((head,) if head else (), "end"),
        "reset": Act((head,) if head else (), "reset"),
        "stall": Act((head,) if head else (), "stall"),
        "garbage": Act((head + GARBAGE,), "end"),
    }


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("name", ANSWERS)
def test_cut_at_every_byte(engine: Callable[..., Any], name: str, streamed: bool) -> None:
    """A stream that is cut gives a whole answer or a typed error with the partial text, never silence."""
    known = ANSWERS[name]
    stream = STREAMS[name]
    outcomes = {"whole": 0, "error": 0}
    for at in range(len(stream) + 1):
        for how, act in ends(stream, at).items():
            world = World(act)
            try:
                reply = world.run(engine(streamed=streamed))
            except ByteError as error:
                outcomes["error"] += 1
                assert error.code in MAY_END_A_CUT_STREAM, (at, how)
                assert known.text.startswith(error.partial_text), (at, how)
                assert error.attempts
                if streamed:
                    assert world.text == error.partial_text
                continue
            outcomes["whole"] += 1
            assert (reply.text, reply.finish_reason) == (known.text, known.finish_reason), (at, how)
            assert [c.arguments for c in reply.tool_calls] == [c.arguments for c in known.tool_calls]
            if streamed:
                assert world.text == known.text
    assert outcomes["whole"] >= 4
    assert outcomes["error"] >= 3 * len(stream) // 2


@pytest.mark.parametrize("slicing", [1, 2, 3, 7])
def test_any_slicing_gives_the_same(engine: Callable[..., Any], slicing: int) -> None:
    """How the network slices a stream changes nothing."""
    stream = STREAMS["text"]
    pieces = [stream[i : i + slicing] for i in range(0, len(stream), slicing)]
    world = World(Act(pieces))
    reply = world.run(engine())
    assert reply.text == world.text == ANSWERS["text"].text
    assert reply.usage.cost_units == USAGE.cost_units


@pytest.mark.parametrize("how", ["leave", "close"])
@pytest.mark.parametrize("end", ["end", "reset", "stall", "refused", "silent", "lost"])
def test_leave_at_every_turn(engine: Callable[..., Any], end: str, how: str) -> None:
    """Wherever the caller leaves, each begun attempt has exactly one settlement."""
    stream = STREAMS["text"]
    pieces = [stream[i : i + 40] for i in range(0, len(stream), 40)]
    abandoned = 0
    for turn in range(1, 60):
        world = World(Act(pieces, end), Act(pieces))
        try:
            finished = world.run(engine(models=(MODEL, "maker/other")), leave_at=turn, how=how)
        except ByteError:
            break
        if finished is not None:
            break
        if how == "close":  # nothing may be yielded; the driver's net settles what is left
            assert not [s for s, _ in world.settled if s.outcome == "abandoned"]
            continue
        left_open = [whole for entry, whole in world.settled if entry.outcome == "abandoned"]
        assert left_open in ([], [False])  # none where it left between two attempts
        abandoned += len(left_open)
    else:
        raise AssertionError("the request never ended")
    assert how == "close" or abandoned >= 2


def test_a_bug_is_settled_and_raised(engine: Callable[..., Any]) -> None:
    """An exception thrown into a wait settles the attempt and comes out again."""
    flow = engine()
    flow.send(None)  # Begin
    flow.send(1000.0)  # Wait
    command = flow.throw(ValueError("a bug"))
    assert (command.settlement.outcome, command.whole) == ("internal", False)
    with pytest.raises(ValueError, match="a bug"):
        flow.send(1000.0)


def test_falls_back_before_the_first_token(engine: Callable[..., Any]) -> None:
    """A model that fails before its first token is replaced, and the rows tell of both."""
    world = World(
        Act((b'{"error":{"code":404,"message":"No endpoints found for a/b."}}',), status=404),
        Act((STREAMS["text"],)),
    )
    reply = world.run(engine(models=("a/b", MODEL)))
    assert reply.text == ANSWERS["text"].text
    assert [(a.model, a.outcome) for a in reply.attempts] == [("a/b", "model_not_found"), (MODEL, "answered")]
    assert [s.outcome for s, _ in world.settled] == ["model_not_found", "answered"]
    assert world.pauses == []


def test_one_named_model_never_becomes_another(engine: Callable[..., Any]) -> None:
    """Who names one model gets it or an error."""
    world = World(Act((), "silent"))
    with pytest.raises(ByteError) as caught:
        world.run(engine())
    assert caught.value.code == "headers_timeout"
    assert [intent.model for intent in world.intents] == [MODEL]


def test_a_silent_route_is_not_asked_again(engine: Callable[..., Any]) -> None:
    """A POST is never sent again on a route that fell silent: the next model is asked at once."""
    world = World(Act((), "silent"), Act((STREAMS["text"],)))
    reply = world.run(engine(models=("a/b", MODEL)))
    assert [a.outcome for a in reply.attempts] == ["headers_timeout", "answered"]


def test_a_break_after_the_first_token_is_told(engine: Callable[..., Any]) -> None:
    """Who wants errors told gets a typed one, with the words so far, and nobody else is asked."""
    head = STREAMS["text"][: STREAMS["text"].index(b'"finish_reason":"stop"')]
    world = World(Act((head,), "reset"), Act((STREAMS["text"],)))
    with pytest.raises(ByteError) as caught:
        world.run(engine(models=(MODEL, "a/b"), policy=Policy(failover="error")))
    assert caught.value.code == "truncated"
    assert caught.value.partial_text == world.text != ""
    assert len(world.intents) == 1


def test_without_a_stream_a_break_is_silent(engine: Callable[..., Any]) -> None:
    """Where nothing was shown, a broken answer is asked for again."""
    head = STREAMS["text"][: len(STREAMS["text"]) // 2]
    world = World(Act((head,), "reset"), Act((STREAMS["text"],)))
    reply = world.run(engine(streamed=False))
    assert reply.text == ANSWERS["text"].text
    assert [a.outcome for a in reply.attempts] == ["truncated", "answered"]
    assert reply.cost_known == "partial"


def test_comments_do_not_hold_off_the_timers(engine: Callable[..., Any]) -> None:
    """Keep-alive comments are no data: the first-event timeout runs through them."""
    comments = [b": OPENROUTER PROCESSING\n\n"] * 100
    world = World(Act(comments, "stall", every=1.0))
    with pytest.raises(ByteError) as caught:
        world.run(engine(timeouts=Timeouts(first_event=20.0)))
    assert caught.value.code == "first_event_timeout"
    assert 1000.0 + 20.0 <= world.now <= 1000.0 + 22.0


def test_comments_between_words_do_not_hold_off_the_idle_timer(engine: Callable[..., Any]) -> None:
    """The same between two words."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    world = World(Act([chunk, *[b": x\n\n"] * 100], "stall", every=0.9))
    with pytest.raises(ByteError) as caught:
        world.run(engine(timeouts=Timeouts(idle=10.0), policy=Policy(failover="error")))
    assert (caught.value.code, caught.value.partial_text) == ("idle_timeout", "a")
    assert world.now <= 1000.0 + 0.9 + 10.1


@pytest.mark.parametrize(
    ("opening", "code", "after"),
    [
        ({"role": "assistant", "content": ""}, "first_event_timeout", 60.0),
        ({"reasoning": "hm"}, "idle_timeout", 120.0),
        ({"content": "a"}, "idle_timeout", 30.0),
    ],
)
def test_the_bare_role_is_no_first_word(
    engine: Callable[..., Any], opening: dict[str, str], code: str, after: float
) -> None:
    """Until a token has come, the next may take as long as the first; who thinks may be silent for longer (D3, D4)."""
    data = json.dumps({"choices": [{"index": 0, "delta": opening}]}).encode()
    world = World(Act([b"data: " + data + b"\n\n"], "stall"))
    with pytest.raises(ByteError) as caught:
        world.run(engine(policy=Policy(failover="error")))
    assert caught.value.code == code
    assert world.now == pytest.approx(1000.0 + after)


def test_a_slow_reader_is_not_a_slow_wire(engine: Callable[..., Any]) -> None:
    """No deadline counts the time that the caller takes."""
    pieces = [STREAMS["text"][i : i + 30] for i in range(0, len(STREAMS["text"]), 30)]
    world = World(Act(pieces), slow_reader=500.0)
    assert world.run(engine(timeouts=Timeouts(total=60.0))).whole


def test_the_total_timeout_ends_everything(engine: Callable[..., Any]) -> None:
    """The total deadline bounds the request over all its attempts, and no next model is asked after it."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"reasoning":"a"}}]}\n\n'
    world = World(Act([chunk] * 1000, every=1.0))
    with pytest.raises(ByteError) as caught:
        world.run(engine(streamed=False, models=(MODEL, "a/b"), timeouts=Timeouts(total=30.0)))
    assert caught.value.code == "total_timeout"
    assert world.now == 1030.0
    assert len(world.intents) == 1


def test_reasoning_may_be_silent_for_longer(engine: Callable[..., Any]) -> None:
    """While a model only reasons, its idle timeout is four times as long."""
    think = b'data: {"choices":[{"index":0,"delta":{"reasoning":"hm"}}]}\n\n'
    world = World(Act([think, STREAMS["text"]], every=80.0))
    assert world.run(engine(timeouts=Timeouts(first_event=90.0))).text == ANSWERS["text"].text


def test_after_the_finish_reason_the_answer_is_whole(engine: Callable[..., Any]) -> None:
    """A stall or reset after the finish reason costs the usage, not the answer, and soon."""
    head = STREAMS["text"][: STREAMS["text"].index(b'"finish_reason":"stop"')]
    head += STREAMS["text"][len(head) :].split(b"\n\n")[0] + b"\n\n"
    for end in ("stall", "reset"):
        world = World(Act((head,), end))
        reply = world.run(engine())
        assert reply.whole
        assert reply.cost is None
        assert world.now <= 1005.0


def test_a_limit_refuses_without_a_row(engine: Callable[..., Any]) -> None:
    """A refused Begin wrote nothing and is not settled; when to come back is told."""
    world = World(Act((STREAMS["text"],)), begin="over_limit")
    with pytest.raises(RateLimited) as caught:
        world.run(engine(timeouts=Timeouts(total=5.0)))
    assert caught.value.retry_after == 12.0
    assert world.settled == []


@pytest.mark.parametrize("begin", ["broken", "slow"])
def test_a_ledger_that_fails_costs_no_answer(engine: Callable[..., Any], begin: str) -> None:
    """Without a budget the answer comes all the same, and says that its cost is not recorded."""
    world = World(Act((STREAMS["text"],)), begin=begin)
    reply = world.run(engine())
    assert reply.text == ANSWERS["text"].text
    assert "not recorded" in reply.notes[0]


def test_a_required_ledger_refuses(engine: Callable[..., Any]) -> None:
    """Where the ledger is required, nothing is sent without its row."""
    config = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"})
    import msgspec

    world = World(Act((STREAMS["text"],)), begin="broken")
    with pytest.raises(LedgerError, match="disk is full"):
        world.run(engine(config=msgspec.structs.replace(config, ledger_required=True)))
    assert world.requests == []


def test_the_generation_is_marked(engine: Callable[..., Any]) -> None:
    """The generation id goes into the ledger at the headers, before any word."""
    headers = {"content-type": "text/event-stream", "x-generation-id": "gen-1"}
    world = World(Act((STREAMS["text"],), headers=headers))
    reply = world.run(engine())
    assert [generation for _, generation in world.marks] == ["gen-1"] == [reply.generation_id]


def test_a_host_that_is_not_there_is_asked_no_more_but_another_route_is(engine):
    """No network: of a chain over OpenRouter and this machine only the machine's own model is left."""
    world = World(*[Act(end="refused")] * 3, Act([STREAMS["text"]]))
    chain = (MODEL, "maker/other", "local/smollm2-135m")
    reply = world.run(engine(models=chain, has_local=True))
    assert reply.text == ANSWERS["text"].text
    assert [attempt.model for attempt in reply.attempts] == [MODEL] * 3 + ["local/smollm2-135m"]
