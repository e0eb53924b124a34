"""Bad days that nobody thought of at first: each was a defect once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck import AsyncHub, ByteError, Hub, Policy, Seam, pipeline
from bytedeck.call.joint import Joint, echo_of
from bytedeck.config import Config, load
from bytedeck.errors import InvalidRequest, LedgerError
from bytedeck.events import FellBack, Started
from bytedeck.money import to_units
from bytedeck.pipeline import Deck
from bytedeck.purse import Purse
from bytedeck.route.catalog import Catalog
from bytedeck.types import Ask, Candidate, Delta, Model, Plan, Price, Reply, Timeouts, ToolCallPart
from faces import FACES, Face
from upstream import Upstream
from world import Act, World

DONE = b"data: [DONE]\n\n"
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
SAID = "The harbour is quiet tonight, and the boats lie"
REST = " side by side."


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "gen-1", "choices": [choice]}).encode() + b"\n\n"


def broken(*chunks: bytes) -> Act:
    """An answer that breaks off after these."""
    return Act(chunks, "reset")


def whole(*chunks: bytes, finish: str = "stop") -> Act:
    return Act((*chunks, chunk(finish), DONE))


def echoed() -> Act:
    """Who goes on with `SAID` as he is asked to."""
    return whole(chunk(content=SAID + REST))


CONFIG = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"})


def played(world: World, *, config: Config = CONFIG, catalog: Catalog | None = None, **ask: Any) -> Reply:
    """The answer of a request for two models, which is streamed."""
    given: dict[str, Any] = {"models": ("maker/one", "maker/two"), "streamed": True}
    given |= {"id": "0123456789abcdef" * 2, "messages": ({"role": "user", "content": "hi"},)} | ask
    deck = Deck(
        config=config,
        catalog=catalog,
        has_key=True,
        has_local=True,
        local_reason="",
        clean=str,
        utc_minutes=0,
    )
    reply: Reply = world.run(pipeline.answer(Ask(**given), deck, 1000.0))
    return reply


def kept(deltas: list[Delta]) -> tuple[str, str, list[ToolCallPart]]:
    """What a caller has before its eyes who does what it is told: text, thoughts and calls."""
    text = thoughts = ""
    calls: list[ToolCallPart] = []
    for delta in deltas:
        if isinstance(delta.event, Seam) and delta.event.kind == "restart":
            assert delta.event.erase == len(text)
            text, thoughts, calls = "", "", []
        text += delta.text
        thoughts += delta.reasoning
        calls += delta.tool_calls
    return text, thoughts, calls


def bodies(world: World) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in world.requests]


# -- what begins anew -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "policy"),
    [
        ((chunk(reasoning="Which city?"), chunk(tool_calls=[CALL])), Policy()),
        ((chunk(content=SAID),), Policy(failover="restart")),
        ((chunk(content=SAID),), Policy(failover="restart", stream_tools=True)),
    ],
    ids=["thoughts", "text", "calls are streamed"],
)
def test_calls_alone_may_be_the_answer_that_begins_anew(before: tuple[bytes, ...], policy: Policy) -> None:
    """An answer of nothing but tool calls takes back what was shown before it, and tells so."""
    world = World(broken(*before), whole(chunk(tool_calls=[CALL]), finish="tool_calls"))
    reply = played(world, policy=policy)
    text, thoughts, calls = kept(world.emitted)
    assert [seam.kind for seam in reply.seams] == ["restart"]
    assert (text, thoughts) == (reply.text, reply.reasoning) == ("", "")
    assert [call.name for call in calls] == ["weather"]


@pytest.mark.parametrize(
    "first",
    [
        chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "gAAAA"}]),
        chunk(annotations=[{"type": "url_citation", "url_citation": {"url": "https://a.example"}}]),
    ],
    ids=["encrypted thoughts", "a source"],
)
def test_what_nobody_can_read_is_told_all_the_same(first: bytes) -> None:
    """What was handed over is void where another attempt begins anew, and the answer starts once."""
    world = World(broken(first), whole(chunk(content="Yes.")))
    reply = played(world)
    events = [delta.event for delta in world.emitted if delta.event]
    assert [type(event) for event in events] == [Started, FellBack, Seam]
    assert (reply.text, reply.reasoning_details, reply.annotations) == ("Yes.", (), ())


def test_json_of_a_task_begins_anew() -> None:
    """The format that a task asks for counts like the caller's own: nobody goes on within JSON."""
    task = CONFIG.tasks["general"]
    as_json = {**task.params, "response_format": {"type": "json_object"}}
    config = replace(CONFIG, tasks={**CONFIG.tasks, "general": replace(task, params=as_json)})
    world = World(broken(chunk(content='{"harbour": "qui')), whole(chunk(content='{"harbour": "quiet"}')))
    reply = played(world, config=config, models=(), task="general")
    assert [seam.kind for seam in reply.seams] == ["restart"]
    assert kept(world.emitted)[0] == reply.text == '{"harbour": "quiet"}'


@pytest.mark.parametrize("streamed", [True, False])
def test_more_room_for_thoughts_once(streamed: bool) -> None:
    """Who spent all tokens of a task on thoughts gets more of them, whether the thoughts were shown or not."""
    thinks = whole(chunk(reasoning="Well."), finish="length")
    world = World(thinks, whole(chunk(content="Yes.")))
    reply = played(world, models=(), task="general", streamed=streamed)
    first, second = bodies(world)
    assert (first["model"], first["max_tokens"] * 4) == (second["model"], second["max_tokens"])
    assert reply.text == "Yes."


def test_thoughts_that_were_shown_stay_an_error_where_that_is_wanted() -> None:
    """`failover = "error"` holds for them, too."""
    world = World(whole(chunk(reasoning="Well."), finish="length"))
    with pytest.raises(ByteError) as caught:
        played(world, models=(), task="general", policy=Policy(failover="error"))
    assert (caught.value.code, len(world.requests)) == ("reasoning_exhausted", 1)


# -- what a continuation is sent --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "joined"),
    [
        ("Well, ", f"Well, {SAID}"),
        (None, SAID),
        ([{"type": "text", "text": "Well, "}], [{"type": "text", "text": "Well, "}, {"type": "text", "text": SAID}]),
    ],
)  # fmt: skip
def test_an_answer_that_the_caller_began_stays_one_turn(content: Any, joined: Any) -> None:
    """The caller's own prefill and what came of it are the same turn of the assistant's."""
    given = {"role": "assistant", "content": content, "name": "skipper"}
    world = World(broken(chunk(content=SAID)), echoed())
    reply = played(world, messages=({"role": "user", "content": "hi"}, given))
    assert reply.text == SAID + REST
    turns = bodies(world)[1]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1] == {"role": "assistant", "content": joined, "name": "skipper"}
    assert bodies(world)[0]["messages"][1] == given


def test_words_after_a_tool_are_a_turn_of_their_own() -> None:
    """The result of a tool stays between the call and what is said of it."""
    messages = (
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    )
    world = World(broken(chunk(content=SAID)), echoed())
    assert played(world, messages=messages).text == SAID + REST
    assert bodies(world)[1]["messages"][:4] == [*messages, {"role": "assistant", "content": SAID}]


@pytest.mark.parametrize(
    ("reasoning", "least"),
    [({"effort": "high"}, 1500 - len(SAID)), ({"max_tokens": 1024}, 1024 + 1)],
)
def test_thoughts_are_thought_again(reasoning: Mapping[str, Any], least: int) -> None:
    """What a model thought is lost to the next one, which needs the room once more; its cap stays above what is set
    aside for thinking, as the wire wants it."""
    world = World(broken(chunk(reasoning="hm " * 1500), chunk(content=SAID)), echoed())
    played(world, params={"max_tokens": 1500, "reasoning": reasoning})
    first, second = bodies(world)
    assert first["max_tokens"] == 1500
    assert least <= second["max_tokens"] <= 1500


def test_a_continuation_that_is_refused_is_not_the_end() -> None:
    """What one model has begun to answer is no invalid request: the next one is asked."""
    refusal = Act((b'{"error":{"code":400,"message":"no such field"}}',), status=400, headers={"content-type": "application/json"})  # fmt: skip
    world = World(broken(chunk(content=SAID)), refusal, echoed())
    reply = played(world)
    assert reply.text == SAID + REST
    assert [one.model for one in reply.attempts] == ["maker/one", "maker/two", "maker/one"]


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ('said: "the harbour is quiet", and the boats lie side by side in the dark.', "refused"),
        ("And the boats lie side by side in THE dark.", "refused"),
        ("dark water under the bridge, where nobody has been since the storm.", "unproven"),
        ("boats lie elsewhere, side by side.", "unproven"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 500])
def test_an_echo_in_other_dress_is_not_said_twice(told: str, verdict: str, size: int) -> None:
    """With other quotes, capitals or words about it an echo is no way to go on, even behind a blank."""
    said = "He said: “the harbour is quiet”, and the boats lie side by side in the "
    joint = Joint(said, echo_of(said))
    words = told + " More words follow, and more, and more." * 9
    out = "".join(joint.feed(words[at : at + size]) for at in range(0, len(words), size)) + joint.end()
    assert (joint.verdict, out) == (verdict, words if verdict == "unproven" else "")


# -- errors of ours in mid-answer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "models"),
    [
        (Act(begin="broken"), ("maker/one", "maker/two")),
        (Act(end="raises"), ("maker/one", "local/smollm2-135m")),
    ],
    ids=["the ledger", "the local model"],
)
def test_an_error_of_ours_carries_the_words(second: Act, models: tuple[str, ...]) -> None:
    """Whatever ends an answer that has begun, the error holds what was shown and who was asked."""
    world = World(broken(chunk(content=SAID)), second)
    with pytest.raises(ByteError) as caught:
        played(world, models=models, config=replace(CONFIG, ledger_required=True))
    assert caught.value.partial_text == world.text == SAID
    assert [one.outcome for one in caught.value.attempts] == ["truncated"]


def test_an_error_before_anything_was_asked_carries_nothing() -> None:
    """No words, no attempts."""
    with pytest.raises(LedgerError) as caught:
        played(World(Act(begin="broken")), config=replace(CONFIG, ledger_required=True))
    assert (caught.value.partial_text, caught.value.attempts) == ("", ())


# -- money ------------------------------------------------------------------------------------------


def catalogue(*dear: str) -> Catalog:
    """Both models, those of `dear` a thousand times as dear."""
    models = {
        id_: Model(
            id=id_,
            name=id_,
            max_completion_tokens=1000,
            price=Price(prompt=Decimal("1E-6"), completion=Decimal("1E-3" if id_ in dear else "1E-6")),
        )
        for id_ in ("maker/one", "maker/two", "maker/three")
    }
    return Catalog(models=tuple(models.values()), by_id=models)


def test_several_answers_are_bounded_together() -> None:
    """With `n` all answers are paid for, though the first one alone is read."""
    catalog, bound = catalogue(), to_units("0.005")
    assert bound is not None
    assert played(World(whole(chunk(content="Yes."))), catalog=catalog, max_cost_units=bound).text == "Yes."
    with pytest.raises(ByteError) as caught:
        played(World(whole()), catalog=catalog, max_cost_units=bound, params={"n": 5})
    assert caught.value.code == "over_max_cost"


def test_a_task_with_a_search_has_no_bound() -> None:
    """Plugins that a task asks for cost what they cost, like the caller's own."""
    searching = {"plugins": [{"id": "web"}]}
    ask = Ask(id="0" * 32, messages=({"role": "user", "content": "hi"},))
    info = catalogue().by_id["maker/one"]
    who = Candidate(model="maker/one", name="One", route="openrouter", why="", info=info)
    for defaults, is_bounded in (({}, True), (searching, False)):
        chosen = Plan(candidates=(who,), task="", defaults=defaults)
        worst = Purse(ask, chosen, CONFIG, 0).worst(who, None, 100)
        assert (worst is not None) is is_bounded


def test_who_is_too_dear_was_not_asked() -> None:
    """A fall-back is told of with the model that really is asked."""
    world = World(broken(chunk(content=SAID)), echoed())
    reply = played(
        world,
        models=("maker/one", "maker/two", "maker/three"),
        catalog=catalogue("maker/two"),
        max_cost_units=to_units("0.05"),
    )
    assert reply.text == SAID + REST
    falls = [delta.event for delta in world.emitted if isinstance(delta.event, FellBack)]
    assert [(one.from_model, one.to_model) for one in falls] == [("maker/one", "maker/three")]


def test_the_speed_is_that_of_the_answer() -> None:
    """What others took before it does not slow it down."""
    usage = {"prompt_tokens": 1, "completion_tokens": 20, "total_tokens": 21}
    told = b"data: " + json.dumps({"id": "gen-1", "choices": [], "usage": usage}).encode() + b"\n\n"
    silent, quick = Act(end="silent"), Act((chunk(content="Yes"), chunk("stop"), told, DONE), every=1.0)
    reply = played(World(silent, quick))
    assert reply.seconds == 64.0
    assert reply.tokens_per_second == pytest.approx(20 / 3)


# -- the two faces ----------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(api_key="sk-or-v1-test", home=tmp_path, database_url="memory:")


@pytest.mark.parametrize(
    "arguments",
    [
        {"policy": Policy(failover="bogus")},
        {"policy": Policy(hedge="no")},
        {"policy": {"failover": "restart"}},
        {"policy": True},
        {"timeout": Timeouts(total="10")},
        {"timeout": Timeouts(idle=-1)},
        {"timeout": Timeouts(total=float("nan"))},
        {"can_erase": "no"},
        {"can_erase": None},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(hub: Hub, arguments: dict[str, Any]) -> None:
    """Before anything is sent, with a sentence that names the argument."""
    with hub.testing("Hello!") as script:
        with pytest.raises(InvalidRequest, match=next(iter(arguments))):
            hub.stream("hi", **arguments)
        assert script.requests == []


def test_a_policy_that_can_be_meant_is_taken_as_it_is(hub: Hub) -> None:
    """Checking changes nothing of it."""
    with hub.testing("Hello!"):
        assert hub.chat("hi", policy=Policy(failover="error", hedge=False), timeout=Timeouts(total=5)).whole


def _fails(words: str, full: str) -> None:
    raise LookupError(words)


@pytest.mark.parametrize("how", [lambda stream: stream.result(), next], ids=["result", "next"])
def test_who_cannot_take_the_words_has_left(hub: Hub, how: Callable[[Any], object]) -> None:
    """An error of `on_chunk` ends the request, which is settled at once, not when it is collected."""
    with hub.testing(("truncated", "Hello"), "Hello!"):
        stream = hub.stream("hi", model=["maker/one", "maker/two"], on_chunk=_fails)
        with pytest.raises(LookupError, match="Hello"):
            how(stream)
        assert [one.label for one in hub.usage(by="model").lines] == ["maker/one"]
        for how in (lambda stream: stream.reply, lambda stream: stream.result()):
            with pytest.raises(RuntimeError, match="was left"):
                how(stream)


def test_who_cannot_take_the_words_has_left_on_the_async_face(tmp_path: Path) -> None:
    """The same where `on_chunk` is awaited."""

    async def fails(words: str, full: str) -> None:
        raise LookupError(words)

    async def main() -> None:
        hub = AsyncHub(api_key="sk-or-v1-test", home=tmp_path, database_url="memory:")
        async with hub, hub.testing("Hello!"):
            stream = hub.stream("hi", on_chunk=fails)
            with pytest.raises(LookupError):
                await stream.result()
            assert stream._drive is not None
            assert stream._drive.left

    asyncio.run(main())


@pytest.mark.parametrize("kind", FACES)
@pytest.mark.parametrize("name", ["can_erase", "on_chunk"])
def test_what_only_a_stream_takes_is_refused_elsewhere(kind: str, name: str, upstream: Upstream) -> None:
    """It is no field of a request, and nothing is sent."""
    face = Face(kind, upstream.url, database_url="memory:")
    with pytest.raises(InvalidRequest, match=f"{name} is for `stream`"):
        face.chat("hi", model="openai/gpt-4o-mini", **{name: False})
    assert not upstream.chats
    face.close()
