"""A prompt that is too long: a model with more room, else without its oldest turns where that is allowed (D24)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bytedeck import pipeline
from bytedeck.codec.encode import chat_stream
from bytedeck.config import load
from bytedeck.errors import ContextTooLong
from bytedeck.pipeline import Deck
from bytedeck.route.catalog import Catalog, parse
from bytedeck.types import Ask, Message, Policy, Reply
from world import Act, World

TURN: tuple[Message, ...] = (
    {"role": "user", "content": "word " * 400},
    {"role": "assistant", "content": "word " * 400},
)
LAST: Message = {"role": "user", "content": "And now?"}
SYSTEM: Message = {"role": "system", "content": "Be brief."}
TALK = (SYSTEM, *TURN * 4, LAST)
FINE = Act((b"".join(chat_stream(Reply(text="Fine.", finish_reason="stop"))),))
ROOM = {"maker/small": 10_000, "maker/smaller": 9_000, "maker/big": 1_000_000, "maker/secret": None}


def refusal(limit: int, asked: int) -> Act:
    words = f"This endpoint's maximum context length is {limit} tokens. However, you requested about {asked} tokens"
    error = {"code": 400, "message": words, "metadata": {"error_type": "context_length_exceeded"}}
    body = json.dumps({"error": error}).encode()
    return Act((body,), status=400, headers={"content-type": "application/json"})


def catalog() -> Catalog:
    data = [{"id": id_, "name": id_, "context_length": room} for id_, room in ROOM.items()]
    return parse(msgspec.json.encode({"data": data}))


def ask(
    *acts: Act, models: tuple[str, ...], compact: bool = True, messages: tuple[Message, ...] = TALK
) -> Any:
    """The world after the request, and its reply or its error."""
    world = World(*acts)
    deck = Deck(
        config=load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"}),
        catalog=catalog(),
        has_key=True,
        has_local=False,
        local_reason="",
        clean=str,
        utc_minutes=0,
    )
    wanted = Ask(id="0" * 32, messages=messages, models=models, policy=Policy(compact=compact))
    try:
        return world, world.run(pipeline.answer(wanted, deck, 1000.0))
    except ContextTooLong as error:
        return world, error


def sent(world: World) -> list[tuple[str, int]]:
    """Model and number of messages of each request."""
    bodies = [json.loads(request.body) for request in world.requests]
    return [(body["model"], len(body["messages"])) for body in bodies]


def test_it_is_told_where_nothing_may_be_left_out() -> None:
    """By default nobody's words are left out."""
    world, error = ask(refusal(8000, 16000), models=("maker/small",), compact=False)
    assert isinstance(error, ContextTooLong)
    assert sent(world) == [("maker/small", 10)]


def test_the_oldest_turns_are_left_out_once() -> None:
    """Those that do not fit by the upstream's own count, and it is said; a second refusal is the end."""
    world, reply = ask(refusal(8000, 16000), FINE, models=("maker/small",))
    assert reply.text == "Fine."
    assert sent(world) == [("maker/small", 10), ("maker/small", 4)]
    assert json.loads(world.requests[1].body)["messages"] == [SYSTEM, *TURN, LAST]
    assert reply.notes == ("6 of the oldest messages were left out, so that the prompt fits.",)
    world, error = ask(refusal(8000, 16000), models=("maker/small",))
    assert isinstance(error, ContextTooLong)
    assert len(world.requests) == 2


def test_nothing_can_be_left_out() -> None:
    """Of a single turn: it is told at once."""
    world, error = ask(refusal(8000, 16000), models=("maker/small",), messages=(SYSTEM, LAST))
    assert isinstance(error, ContextTooLong)
    assert len(world.requests) == 1


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("bigger", ["maker/big", "maker/secret"])
def test_a_model_with_more_room_comes_first(bigger: str, compact: bool) -> None:
    """It gets all the words; who holds no more is not asked, and it is said."""
    models = ("maker/small", "maker/smaller", bigger)
    world, reply = ask(refusal(8000, 16000), FINE, models=models, compact=compact)
    assert reply.text == "Fine."
    assert sent(world) == [("maker/small", 10), (bigger, 10)]
    assert reply.notes == ("maker/smaller is skipped: it holds no more than maker/small.",)


def test_where_nobody_holds_more() -> None:
    """The first is asked again, without the oldest turns."""
    world, reply = ask(refusal(8000, 16000), FINE, models=("maker/small", "maker/smaller"))
    assert reply.text == "Fine."
    assert sent(world) == [("maker/small", 10), ("maker/small", 4)]


def test_a_prompt_that_is_surely_too_long_is_not_sent() -> None:
    """It goes out shortened from the start, by a guess; where that was too much still, once more."""
    long = (*TURN * 60, LAST)
    world, reply = ask(FINE, models=("maker/small",), messages=long)
    ((_, first),) = sent(world)
    assert 1 < first < 20
    assert reply.notes[-1] == f"{121 - first} of the oldest messages were left out, so that the prompt fits."
    world, reply = ask(refusal(8000, 16000), FINE, models=("maker/small",), messages=long)
    (_, second) = sent(world)
    assert 1 < second[1] < first
    assert (
        reply.notes[-1] == f"{121 - second[1]} of the oldest messages were left out, so that the prompt fits."
    )
