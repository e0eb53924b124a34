"""`hub.testing`: our users' own tests, with all of ours above the wire running for real."""

from __future__ import annotations

import asyncio

import pytest

from bytedeck import AsyncHub, Hub, ModelUnavailable, Reply, StreamBroken, ToolCall, UnknownModel


def test_without_key_network_or_waiting() -> None:
    """A scripted hub needs no key, answers as told, shows what was asked and waits for nothing."""
    with Hub() as hub, hub.testing("Hello!") as script:
        assert hub.chat("hi", task="coding").text == "Hello!"
        assert "".join(str(delta) for delta in hub.stream("hi", model="a/b")) == "Hello!"
        assert script.requests[0]["messages"][-1] == {"role": "user", "content": "hi"}
        assert script.requests[1]["model"] == "a/b"
        assert hub.usage().total.attempts == 2
    with Hub() as hub:
        assert hub.usage().total.attempts == 0


def test_failures_by_class_and_code() -> None:
    """A failing model is a code or a class; retries run, their pauses are noted."""
    with Hub() as hub, hub.testing("unavailable", ModelUnavailable, "At last.") as script:
        assert hub.chat("hi", model="a/b").text == "At last."
        assert len(script.waits) == 2


def test_broken_after_some_words() -> None:
    """So is a stream that breaks."""
    with Hub() as hub, hub.testing(("truncated", "Half an ")), pytest.raises(StreamBroken) as caught:
        list(hub.stream("hi", model="a/b"))
    assert caught.value.partial_text == "Half an "


def test_a_whole_reply() -> None:
    """A Reply plays all its fields."""
    known = Reply(
        text="x", reasoning="because", tool_calls=(ToolCall(0, "c1", "f", "{}"),), finish_reason="tool_calls"
    )
    with Hub() as hub, hub.testing(known):
        reply = hub.chat("hi", model="a/b")
    assert (reply.text, reply.reasoning, reply.tool_calls) == (known.text, known.reasoning, known.tool_calls)


def test_async() -> None:
    """The same on the async face."""

    async def main() -> None:
        async with AsyncHub() as hub, hub.testing("model_not_found", "Hello!") as script:
            assert (await hub.stream("hi", model=["a/b", "c/d"]).result()).text == "Hello!"
            assert [request["model"] for request in script.requests] == ["a/b", "c/d"]
        async with hub.testing("unavailable", "unavailable", "At last.") as script:
            assert (await hub.chat("hi", model="a/b")).text == "At last."
            assert len(script.waits) == 2
            with pytest.raises(RuntimeError, match="not whole yet"):
                hub.stream("hi", model="a/b").reply  # noqa: B018

    asyncio.run(main())


def test_an_item_that_cannot_be_played() -> None:
    """A script is checked when it is written, not when it is played."""
    with Hub() as hub, pytest.raises(ValueError, match="cannot play 42"), hub.testing(42):
        pass


def test_a_dead_model() -> None:
    """The error of the table, with its sentence."""
    with Hub() as hub, hub.testing("model_not_found"), pytest.raises(UnknownModel, match="no longer served"):
        hub.chat("hi", model="a/b")
