"""What an Anthropic client sends, in a chat's terms; what is no call is refused with the name of the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytedeck.errors import InvalidRequest
from bytedeck.gateway.call import Call
from bytedeck.gateway.messages import Messages, count

HI = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral", "ttl": "1h"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def read(**body: Any) -> Call:
    return Messages().read(json.dumps({"model": "m", "messages": [HI], **body}).encode())


def messages(*sent: Any, **body: Any) -> list[Any]:
    return list(read(messages=list(sent), **body).messages)


def content(block: Any, role: str = "user") -> Any:
    [message] = messages({"role": role, "content": [block]})
    return message["content"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"type": "text", "text": "a"}, "a"),
        (
            {"type": "text", "text": "a", "cache_control": MARK},
            [{"type": "text", "text": "a", "cache_control": MARK}],
        ),
        (
            {"type": "text", "text": "a", "citations": None, "new": 1},
            [{"type": "text", "text": "a", "new": 1}],
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}],
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}, "cache_control": MARK},
            [{"type": "image_url", "image_url": {"url": "https://a/b.png"}, "cache_control": MARK}],
        ),
        (
            {
                "type": "document",
                "title": "t.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"},
            },
            [
                {
                    "type": "file",
                    "file": {"filename": "t.pdf", "file_data": "data:application/pdf;base64,QUJD"},
                }
            ],
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}},
            [{"type": "file", "file": {"filename": "document.pdf", "file_data": "https://a/b.pdf"}}],
        ),
        (
            {"type": "document", "source": {"type": "file", "file_id": "f1"}},
            [{"type": "file", "file": {"file_id": "f1"}}],
        ),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}, "d"),
        (
            {
                "type": "document",
                "title": "T",
                "context": "C",
                "source": {"type": "content", "content": [{"type": "text", "text": "d"}]},
                "cache_control": MARK,
            },
            [
                {"type": "text", "text": "T"},
                {"type": "text", "text": "C"},
                {"type": "text", "text": "d", "cache_control": MARK},
            ],
        ),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "S",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            "T\nS\na\nb",
        ),
        ({"type": "compaction", "content": "summary"}, "summary"),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
            [{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}],
        ),
    ],
)
def test_blocks_become_parts(sent: Any, told: Any) -> None:
    """Each block has its part, with its mark for the cache; what nobody knows goes through."""
    assert content(sent) == told


def test_the_system_comes_first() -> None:
    """As a text, or as parts that keep their marks."""
    assert messages(HI, system="S") == [{"role": "system", "content": "S"}, HI]
    marked = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": MARK}]
    assert messages(HI, system=marked) == [{"role": "system", "content": marked}, HI]
    assert messages(HI, system=[]) == [HI]
    assert messages(HI, system=None) == [HI]


def test_a_tool_loop() -> None:
    """Uses become calls, each result a message of its own before the words of its turn."""
    told = messages(
        HI,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "let me see"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": [1.5, None]}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}, "cache_control": MARK},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "here"},
                {"type": "tool_result", "tool_use_id": "t1", "content": "one", "cache_control": MARK},
                {
                    "type": "tool_result",
                    "tool_use_id": "t2",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "no"},
                        {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "t3", "is_error": True},
                {"type": "tool_result", "tool_use_id": "t4"},
            ],
        },
    )
    assert told[1] == {
        "role": "assistant",
        "content": "let me see",
        "tool_calls": [
            {
                "id": "t1",
                "type": "function",
                "function": {"name": "f", "arguments": '{"b":1,"a":[1.5,null]}'},
            },
            {
                "id": "t2",
                "type": "function",
                "function": {"name": "g", "arguments": "{}"},
                "cache_control": MARK,
            },
        ],
    }
    assert told[2:] == [
        {
            "role": "tool",
            "tool_call_id": "t1",
            "content": [{"type": "text", "text": "one", "cache_control": MARK}],
        },
        {
            "role": "tool",
            "tool_call_id": "t2",
            "is_error": True,
            "content": [
                {"type": "text", "text": "no"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t3", "content": "Error", "is_error": True},
        {"role": "tool", "tool_call_id": "t4", "content": ""},
        {"role": "user", "content": "here"},
    ]


def test_an_assistants_turn() -> None:
    """Only calls: null; nothing: an empty text; a server's own record and empty texts are left out."""
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    served = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": ""},
        {"type": "text", "text": "found"},
    ]
    turns = messages(HI, *({"role": "assistant", "content": blocks} for blocks in ([use], [], served)), HI)
    assert [turn.get("content") for turn in turns] == ["hi", None, "", "found", "hi"]


def test_thoughts_come_back_as_claude_said_them() -> None:
    """Signed ones as details in order, unsigned ones as words alone."""
    [turn] = messages(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "thinking", "thinking": "plain", "signature": ""},
                {"type": "text", "text": "a"},
            ],
        }
    )
    assert turn == {
        "role": "assistant",
        "content": "a",
        "reasoning": "plain",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "hm",
                "signature": "sig",
                "format": "anthropic-claude-v1",
                "index": 0,
            },
            {"type": "reasoning.encrypted", "data": "xyz", "format": "anthropic-claude-v1", "index": 1},
        ],
    }


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": 0.5, "top_p": 1, "top_k": 3}, {"temperature": 0.5, "top_p": 1, "top_k": 3}),
        ({"temperature": None, "tools": None, "metadata": None}, {}),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stop_sequences": []}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"reasoning": {"max_tokens": 2000}}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            {"reasoning": {"enabled": True, "exclude": True}},
        ),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            {"reasoning": {"enabled": True, "effort": "low"}},
        ),
        ({"thinking": {"type": "between_tools"}}, {"thinking": {"type": "between_tools"}}),
        (
            {"output_config": {"effort": "low", "task_budget": {"total": 1}}},
            {"output_config": {"task_budget": {"total": 1}}, "verbosity": "low"},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"metadata": {"user_id": "u", "x": "y"}}, {"metadata": {"x": "y"}, "user": "u"}),
        ({"user": "mine", "metadata": {"user_id": "u"}}, {"user": "mine"}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"mcp_servers": []}, {}),
        (
            {"zzz": 1, "provider": {"order": ["a"]}, "aaa": None, "cache_control": MARK},
            {"zzz": 1, "provider": {"order": ["a"]}, "aaa": None, "cache_control": MARK},
        ),
        ({"tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {"tool_choice": {"type": "tool", "name": "f"}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"tool_choice": {"type": "tool", "name": "web_search"}},
            {"tool_choice": {"type": "openrouter:web_search"}},
        ),
    ],
)
def test_fields_in_a_chats_terms(sent: Any, told: Any) -> None:
    """Each field, in the client's order; what nobody knows is untouched."""
    params = read(**sent).params
    assert params == told
    assert list(params) == list(told)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (
            {
                "name": "f",
                "description": "d",
                "input_schema": SCHEMA,
                "strict": True,
                "cache_control": MARK,
                "defer_loading": True,
            },
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
                "cache_control": MARK,
                "defer_loading": True,
            },
        ),
        (
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 3,
                "blocked_domains": ["a.example"],
                "allowed_domains": None,
            },
            {
                "type": "openrouter:web_search",
                "parameters": {"max_uses": 3, "excluded_domains": ["a.example"]},
            },
        ),
        ({"type": "web_fetch_20250910", "name": "web_fetch"}, {"type": "openrouter:web_fetch"}),
        (
            {"type": "advisor_20260301", "name": "advisor", "model": "a/b"},
            {"type": "openrouter:advisor", "parameters": {"model": "a/b"}},
        ),
        (
            {"type": "openrouter:datetime", "parameters": {"x": 1}},
            {"type": "openrouter:datetime", "parameters": {"x": 1}},
        ),
    ],
)
def test_tools(sent: Any, told: Any) -> None:
    """A client's own is a function; a server's is what OpenRouter has for it."""
    assert read(tools=[sent]).params["tools"] == [told]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bash_20250124", "bash"),
        ("text_editor_20250728", "str_replace_based_edit_tool"),
        ("memory_20250818", "memory"),
    ],
)
def test_tools_that_the_client_runs(kind: str, name: str) -> None:
    """Any model is told their schema, under the client's own name."""
    [tool] = read(tools=[{"type": kind, "name": name}]).params["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", name)
    assert "command" in tool["function"]["parameters"]["properties"]


def test_the_chain_and_the_stream() -> None:
    """`model`, `models` and `fallbacks` are one chain without repeats."""
    call = read(models=["m", "n"], fallbacks=[{"model": "o"}], stream=True)
    assert (call.models, call.streamed) == (("m", "n", "o"), True)
    assert read(model=None).models == ()
    assert read(stop_sequences=["a"]).echo == {"stop_sequences": ("a",)}


def test_a_message_of_text_is_passed_on_as_it_is() -> None:
    """Whatever else stands in it."""
    odd = {"content": "a", "name": "n", "role": "assistant"}
    [told] = messages(odd)
    assert list(told.items()) == list(odd.items())


REFUSED: list[tuple[Any, str]] = [
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": {}}, "messages"),
    ({"messages": ["a"]}, "messages[0]"),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
    ({"messages": [{"role": ["user"], "content": "a"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]},
        "messages[0].content[0].source",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        "messages[0].content[0].tool_use_id",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}]},
        "messages[0].content[0].name",
    ),
    ({"system": 5}, "system"),
    ({"model": ""}, "model"),
    ({"model": 5}, "model"),
    ({"models": [5]}, "model"),
    ({"fallbacks": ["a"]}, "fallbacks[0]"),
    ({"max_tokens": "5"}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"temperature": "warm"}, "temperature"),
    ({"stream": "yes"}, "stream"),
    ({"stop_sequences": "a"}, "stop_sequences"),
    ({"stop_sequences": [5]}, "stop_sequences[0]"),
    ({"stop_sequences": list("abcde")}, "stop_sequences"),
    ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
    ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ({"tools": [{"type": "code_execution_20250825", "name": "x"}]}, "tools[0].type"),
    ({"tools": [{"type": "mcp_toolset"}]}, "tools[0].type"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
    ({"thinking": "yes"}, "thinking"),
    ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"output_config": {"effort": 5}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type"),
    ({"service_tier": 5}, "service_tier"),
    ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
]


@pytest.mark.parametrize(("sent", "field"), REFUSED)
def test_what_is_no_call_is_refused(sent: Any, field: str) -> None:
    """With a sentence that begins with the field's name."""
    with pytest.raises(InvalidRequest) as caught:
        read(**sent)
    assert str(caught.value).startswith(field)
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'"a"',
        b"NaN",
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b'{"a":1e999}',
        b"1" * 9999,
    ],
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """Whatever the bytes are."""
    with pytest.raises(InvalidRequest, match=r"^the body: "):
        Messages().read(body)


def test_counting_grows_with_what_is_said() -> None:
    """An estimate: more words, tools and pictures are more tokens."""
    small = {"messages": [HI]}
    bodies = [
        small,
        {"messages": [{"role": "user", "content": "hi " * 100}]},
        {"messages": [HI], "tools": [{"name": "f", "input_schema": SCHEMA}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}],
                }
            ]
        },
    ]
    counts = [count(json.dumps(body).encode())["input_tokens"] for body in bodies]
    assert 1 <= counts[0] < 10 < counts[1] < counts[2] < counts[3]
    with pytest.raises(InvalidRequest):
        count(b"{}")
