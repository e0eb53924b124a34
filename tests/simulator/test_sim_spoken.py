"""What the skins say becomes the same messages, tools and wishes, in the shape of chat completions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytedeck.simulator.checks import check
from bytedeck.simulator.shapes import Call, Reasoning, Skin

PNG = "data:image/png;base64,AAAA"
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}},
}


def read(skin: Skin, **body: Any) -> Call:
    return check.read(skin, json.dumps(body).encode(), {})


def spoken(**more: Any) -> list[dict[str, Any]]:
    return list(read("responses", **more).messages)


def told(messages: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    return list(read("messages", model="a/b", messages=messages, **more).messages)


def test_the_same_conversation_is_the_same_in_all_skins() -> None:
    """System words, a question with an image, a tool call, its result and an answer."""
    chat = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "assistant", "content": "Let me add.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "user", "content": "And?"},
    ]  # fmt: skip
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PNG, "detail": "auto"}]},
        {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "Let me add."}]},
        {"type": "function_call", "id": "f", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
        {"role": "user", "content": "And?"},
    ]  # fmt: skip
    blocks = [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Let me add."}, {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "2"}]},
        {"role": "user", "content": "And?"},
    ]  # fmt: skip
    assert list(read("chat", messages=chat).messages) == chat
    assert told(blocks, system="Be kind.") == chat
    from_items = spoken(instructions="Be kind.", input=items)
    from_items[1]["content"][1]["image_url"].pop("detail")
    assert from_items == chat


def test_reasoning_comes_back_as_details() -> None:
    """Thinking blocks and reasoning items become reasoning_details of the turn that they belong to, in their order."""
    thought = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "So."},
    ]
    form = "anthropic-claude-v1"
    assert told([{"role": "user", "content": "?"}, {"role": "assistant", "content": thought}])[1] == {
        "role": "assistant",
        "content": "So.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": form, "index": 0},
            {"type": "reasoning.encrypted", "data": "d", "format": form, "index": 1},
        ],
    }
    item = {
        "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "short"}], "encrypted_content": "e",
        "content": [{"type": "reasoning_text", "text": "long"}], "signature": "s", "format": form,
    }  # fmt: skip
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    assert spoken(input=[{"role": "user", "content": "?"}, item, call])[1] == {
        "role": "assistant",
        "content": None,
        "reasoning_details": [
            {"type": "reasoning.summary", "summary": "short", "id": "rs_1", "format": form, "index": 0},
            {
                "type": "reasoning.text",
                "text": "long",
                "signature": "s",
                "id": "rs_1",
                "format": form,
                "index": 1,
            },
            {"type": "reasoning.encrypted", "data": "e", "id": "rs_1", "format": form, "index": 2},
        ],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }


def test_parallel_calls_are_one_turn_and_answers_begin_the_next() -> None:
    """Function calls in a row belong together; after a result the model speaks anew."""
    calls = [
        {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"} for name in ("a", "b")
    ]
    results = [{"type": "function_call_output", "call_id": name, "output": "1"} for name in ("a", "b")]
    messages = spoken(input=[{"role": "user", "content": "?"}, *calls, *results, *calls])
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [len(message.get("tool_calls", ())) for message in messages] == [0, 2, 0, 0, 2]


def test_thoughts_need_not_have_words() -> None:
    """A reasoning item may bring its encrypted form only, or nothing at all."""
    bare = {"type": "reasoning", "id": "rs_1", "summary": []}
    said = {"role": "assistant", "content": "So."}
    assert spoken(input=[{"role": "user", "content": "?"}, bare, said])[1] == {
        **said,
        "reasoning_details": [],
    }
    sealed = spoken(input=[{"role": "user", "content": "?"}, {**bare, "encrypted_content": "e"}, said])[1]
    assert [item["type"] for item in sealed["reasoning_details"]] == ["reasoning.encrypted"]


def test_what_only_servers_understand_is_left_out() -> None:
    """Items and blocks of server tools say nothing to the model."""
    search = {
        "type": "web_search_call",
        "id": "w",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    assert spoken(input=[{"role": "user", "content": "?"}, search]) == [{"role": "user", "content": "?"}]
    used = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    assert told([{"role": "assistant", "content": [used, {"type": "text", "text": "Found."}]}]) == [
        {"role": "assistant", "content": "Found."}
    ]


PARTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "image", "source": {"type": "url", "url": "https://x/i.png"}}, {"type": "image_url", "image_url": {"url": "https://x/i.png"}}),
    ({"type": "document", "title": "t.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}}, {"type": "file", "file": {"filename": "t.pdf", "file_data": "data:application/pdf;base64,AA"}}),
    ({"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}, {"type": "file", "file": {"filename": "document", "file_data": "https://x/a.pdf"}}),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}, {"type": "text", "text": "words"}),
    ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "words"}]}}, {"type": "text", "text": "words"}),
    ({"type": "search_result", "source": "s", "title": "T", "content": [{"type": "text", "text": "found"}]}, {"type": "text", "text": "T\nfound"}),
]  # fmt: skip


@pytest.mark.parametrize(("block", "part"), PARTS)
def test_anthropics_blocks_become_parts(block: dict[str, Any], part: dict[str, Any]) -> None:
    """Images and documents by URL or with their bytes, words and search results."""
    assert told([{"role": "user", "content": [block]}]) == [{"role": "user", "content": [part]}]


ITEMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "input_file", "filename": "f.pdf", "file_data": "data:,"}, {"type": "file", "file": {"filename": "f.pdf", "file_data": "data:,"}}),
    ({"type": "input_file", "file_url": "https://x/f"}, {"type": "file", "file": {"filename": "file", "file_data": "https://x/f"}}),
    ({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
    ({"type": "input_video", "video_url": "https://x/v"}, {"type": "video_url", "video_url": {"url": "https://x/v"}}),
]  # fmt: skip


@pytest.mark.parametrize(("item", "part"), ITEMS)
def test_input_parts_become_parts(item: dict[str, Any], part: dict[str, Any]) -> None:
    """Files, audio and video of the Responses API."""
    assert spoken(input=[{"role": "user", "content": [item]}]) == [{"role": "user", "content": [part]}]


def test_tools_and_choices_are_alike() -> None:
    """A function and the wish for it look the same, whoever asks."""
    chosen = {"type": "function", "function": {"name": "add"}}
    flat = {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    anthropic = {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}
    user = [{"role": "user", "content": "?"}]
    calls = [
        read("chat", messages=user, tools=[TOOL], tool_choice=chosen),
        read("responses", input="?", tools=[flat], tool_choice={"type": "function", "name": "add"}),
        read(
            "messages",
            model="a/b",
            messages=user,
            tools=[anthropic],
            tool_choice={"type": "tool", "name": "add"},
        ),
    ]
    for call in calls:
        assert call.tools == (TOOL,)
        assert call.tool_choice == chosen
    served = read("responses", input="?", tools=[{"type": "web_search"}], tool_choice="auto")
    assert (served.tools, served.tool_choice) == (({"type": "web_search"},), "auto")
    run = {"type": "web_search_20250305", "name": "web_search"}
    assert read("messages", model="a/b", messages=user, tools=[run]).tools == (run,)
    any_tool = read("messages", model="a/b", messages=user, tools=[anthropic], tool_choice={"type": "any"})
    assert any_tool.tool_choice == "required"


def test_a_schema_for_the_answer_is_alike() -> None:
    """`response_format`, `text.format` and `output_config.format`."""
    schema = {"type": "object", "properties": {}}
    user = [{"role": "user", "content": "?"}]
    chat = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    flat = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    assert read("chat", messages=user, response_format=chat).response_format == chat
    assert read("responses", input="?", text={"format": flat}).response_format == chat
    given = read(
        "messages",
        model="a/b",
        messages=user,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert given.response_format is not None
    assert given.response_format["json_schema"]["schema"] == schema


WISHES: list[tuple[Skin, dict[str, Any], Reasoning]] = [
    ("chat", {}, Reasoning()),
    ("chat", {"reasoning_effort": "low"}, Reasoning(effort="low")),
    (
        "chat",
        {"reasoning": {"max_tokens": 2000.0, "exclude": True}},
        Reasoning(max_tokens=2000, exclude=True),
    ),
    ("chat", {"include_reasoning": False}, Reasoning(exclude=True)),
    ("chat", {"reasoning": {"enabled": False}}, Reasoning(enabled=False)),
    ("responses", {"reasoning": {"effort": "high", "summary": "auto"}}, Reasoning(effort="high")),
    (
        "messages",
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        Reasoning(enabled=True, max_tokens=2048),
    ),
    ("messages", {"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
    (
        "messages",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        Reasoning(enabled=True, effort="max"),
    ),
]


@pytest.mark.parametrize(("skin", "more", "wish"), WISHES)
def test_wishes_for_reasoning_are_alike(skin: Skin, more: dict[str, Any], wish: Reasoning) -> None:
    """Each skin's own words for how much to think."""
    base = (
        {"input": "?"}
        if skin == "responses"
        else {"model": "a/b", "messages": [{"role": "user", "content": "?"}]}
    )
    assert read(skin, **base, **more).reasoning == wish


def test_the_chain_of_models_holds_each_once() -> None:
    """`model` first, then `models` or `fallbacks`; none at all is the account's default."""
    user = [{"role": "user", "content": "?"}]
    assert read("chat", messages=user).models == ()
    assert read("chat", messages=user, model="a/b", models=["c/d", "a/b"]).models == ("a/b", "c/d")
    assert read("messages", messages=user, model="a/b", fallbacks=[{"model": "c/d"}]).models == ("a/b", "c/d")


WEB: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"model": "a/b:online"}, ("web",)),
    ({"model": "a/b:free:online@preset/x"}, ("web",)),
    ({"model": "a/online"}, ()),
    ({"tools": [{"type": "openrouter:web_search"}]}, ("web",)),
    ({"tools": [{"type": "web_search_preview"}], "plugins": [{"id": "web"}]}, ("web",)),
    ({"plugins": [{"id": "web", "enabled": False}, {"id": "response-healing"}]}, ("response-healing",)),
]


@pytest.mark.parametrize(("more", "plugins"), WEB)
def test_whoever_searches_the_web_is_told_as_web(more: dict[str, Any], plugins: tuple[str, ...]) -> None:
    """The plugin, `:online` and the server tools; a plugin that is switched off does not run."""
    assert read("chat", messages=[{"role": "user", "content": "?"}], **more).plugins == plugins


def test_numbers_and_stops_are_taken_over() -> None:
    """Whole floats become integers; the newer of two names for the limit wins; one stop string is a tuple of one."""
    user = [{"role": "user", "content": "?"}]
    call = read(
        "chat", messages=user, seed=7.0, max_tokens=9, max_completion_tokens=5.0, stop="END", stream=True
    )
    assert (call.seed, call.max_tokens, call.stop, call.stream) == (7, 5, ("END",), True)
    assert isinstance(call.seed, int)
    assert read("messages", model="a/b", messages=user, max_tokens=9, stop_sequences=["a"]).stop == ("a",)
    assert read("responses", input="?", max_output_tokens=9).max_tokens == 9
