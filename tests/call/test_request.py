"""What is sent: the caller's fields untouched and in order, the task's in the gaps, ours nowhere else (P10)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from bytedeck.call.bound import answers, is_bounded
from bytedeck.call.request import (
    Amends,
    affordable,
    amended,
    beginning,
    check,
    compose,
    output_cap,
    unheld,
)
from bytedeck.errors import InvalidRequest
from bytedeck.types import Ask, Candidate, Fault, Model, Plan, Price, Reply

USER = {"role": "user", "content": "hi"}
TASK = Plan(
    candidates=(), task="coding", system="Be Byte.", defaults={"max_tokens": 4096, "temperature": 0.7}
)
PLAIN = Plan(candidates=(), task="")
UNCHANGED = Amends()
CAPS = ("max_tokens", "max_completion_tokens")

# Every field of wire.md section 3 with a value of its shape, and two that nobody knows.
FIELDS: dict[str, Any] = {
    "zeta_unknown": {"b": 1, "a": [None, True]},
    "max_completion_tokens": 100,
    "temperature": 0.2,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "top_a": 0.1,
    "frequency_penalty": -0.5,
    "presence_penalty": 0.5,
    "repetition_penalty": 1.1,
    "seed": 7,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 5,
    "stop": ["a", "b"],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}},
    "reasoning": {"effort": "high", "exclude": False},
    "include_reasoning": True,
    "verbosity": "low",
    "modalities": ["text", "image"],
    "image_config": {"aspect_ratio": "1:1"},
    "prediction": {"type": "content", "content": "x"},
    "service_tier": "flex",
    "provider": {"order": ["openai"], "allow_fallbacks": False, "zdr": True},
    "plugins": [{"id": "web", "max_results": 3}],
    "cache_control": {"type": "ephemeral"},
    "session_id": "s",
    "user": "u",
    "metadata": {"k": "v"},
    "trace": {"trace_id": "t"},
    "stop_server_tools_when": [{"type": "max_cost", "max_cost_in_dollars": 1}],
    "max_tool_calls": 3,
    "web_search_options": {"search_context_size": "low"},
    "transforms": ["middle-out"],
    "alpha_unknown": "last",
}


def ask(**changes: Any) -> Ask:
    return Ask(**({"id": "0" * 32, "messages": (USER,)} | changes))


def candidate(**changes: Any) -> Candidate:
    return Candidate(**({"model": "a/b", "name": "B", "route": "openrouter", "why": ""} | changes))


def body(
    asked: Ask, plan: Plan = PLAIN, to: Candidate | None = None, amends: Amends = UNCHANGED
) -> dict[str, Any]:
    return json.decode(compose(asked, plan, to or candidate(), amends).request.body)


def test_every_field_goes_through_untouched_and_in_order() -> None:
    """Known to us or not, each with its value, in the caller's order."""
    sent = body(ask(params=FIELDS))
    assert {name: sent[name] for name in FIELDS} == FIELDS
    assert [name for name in sent if name in FIELDS] == list(FIELDS)


def test_a_plain_model_gets_nothing_of_ours() -> None:
    """No prompt, no parameter."""
    assert body(ask()) == {"model": "a/b", "messages": [USER], "stream": True}


def test_the_tasks_fill_the_gaps_only() -> None:
    """The task's prompt first, the caller's system message kept; parameters where the caller left them open."""
    mine = {"role": "system", "content": "Mine."}
    sent = body(ask(messages=(mine, USER), params={"temperature": 0}), TASK)
    assert sent["messages"] == [{"role": "system", "content": "Be Byte."}, mine, USER]
    assert (sent["temperature"], sent["max_tokens"]) == (0, 4096)
    assert "max_tokens" not in body(ask(params={"max_completion_tokens": 9}), TASK)


def test_only_what_the_model_takes() -> None:
    """A parameter that the catalogue does not know of the model is left out, and a cap fits the model."""
    info = Model(
        id="a/b", name="B", supported_parameters=frozenset({"max_tokens"}), max_completion_tokens=1000
    )
    sent = body(ask(), TASK, candidate(info=info))
    assert "temperature" not in sent
    assert sent["max_tokens"] == 1000
    assert output_cap(ask(), TASK, candidate(info=info), UNCHANGED) == 1000
    assert output_cap(ask(), TASK, candidate(), Amends(cap=16384)) == 16384
    both = ask(params={"max_tokens": 100, "max_completion_tokens": 9000})
    assert output_cap(both, TASK, candidate(), UNCHANGED) == 9000


@pytest.mark.parametrize("name", ["model", "models", "messages", "stream"])
def test_what_is_ours_to_say(name: str) -> None:
    """A caller's field cannot replace the chain, or whether we read a stream."""
    assert body(ask(params={name: "theirs"})) == {"model": "a/b", "messages": [USER], "stream": True}


@pytest.mark.parametrize(
    ("plugins", "stream"),
    [
        ([{"id": "response-healing"}], False),
        ([{"id": "response-healing", "enabled": False}], True),
        ([{"id": "web"}], True),
        ("nonsense", True),
    ],
)
def test_streams_but_where_they_cannot_be(plugins: Any, stream: bool) -> None:
    """A stream is what can be cancelled; one plugin works without only."""
    assert body(ask(params={"plugins": plugins}))["stream"] is stream


def test_money_is_a_number_with_its_own_digits() -> None:
    """Under a bound on cost the reckoned price is the dearest allowed, per million, exact."""
    info = Model(
        id="a/b", name="B", price=Price(prompt=Decimal("0.00000015"), completion=Decimal("0.0000006"))
    )
    asked, bound = ask(params={"provider": {"zdr": True}}), replace(PLAIN, is_bound=True)
    raw = compose(asked, bound, candidate(info=info), Amends()).request.body
    assert b'"max_price":{"prompt":0.15000000,"completion":0.6000000,"request":0}' in raw
    assert b'"zdr":true' in raw
    theirs = {"provider": {"max_price": {"prompt": "0.1", "completion": 1000, "request": 1}}}
    sent = body(replace(asked, params=theirs), bound, candidate(info=info))["provider"]["max_price"]
    assert sent == {"prompt": 0.1, "completion": 0.6, "request": 0}
    assert info.price is not None
    with_fee = replace(info, price=replace(info.price, request=Decimal("0.010")))
    raw = compose(asked, bound, candidate(info=with_fee), Amends()).request.body
    assert b'"request":0.010}' in raw
    lower = {"provider": {"max_price": {"request": "0.001"}}}
    sent = body(replace(asked, params=lower), bound, candidate(info=with_fee))["provider"]["max_price"]
    assert sent == {"request": 0.001, "prompt": 0.15, "completion": 0.6}
    assert "provider" not in body(ask(), bound, candidate())
    assert "provider" not in body(ask(), PLAIN, candidate(info=info))


@pytest.mark.parametrize(
    ("name", "fault", "params", "changed"),
    [
        ("no_reasoning_field", "reasoning_mandatory", {"reasoning": {"enabled": False}}, {"reasoning": None}),
        ("more_tokens", "reasoning_exhausted", {}, {"max_tokens": 16384}),
        ("affordable_tokens", "max_tokens_unaffordable", {}, {"max_tokens": 900}),
    ],
)
def test_sent_once_more_with_a_change(
    name: str, fault: str, params: dict[str, Any], changed: dict[str, Any]
) -> None:
    """The change that helps is made, once."""
    asked = ask(params=params)
    amends = amended(Amends(), name, Fault(code=fault, affordable_tokens=1000), asked, TASK, candidate())
    assert amends is not None
    sent = body(asked, TASK, amends=amends)
    assert {key: sent.get(key) for key in changed} == changed
    assert amended(amends, name, Fault(code=fault, affordable_tokens=1000), asked, TASK, candidate()) is None


@pytest.mark.parametrize("name", ["more_tokens", "affordable_tokens"])
def test_the_callers_cap_is_not_ours_to_change(name: str) -> None:
    """Neither is a request without a cap; and an account that can afford nothing is not asked again."""
    fault = Fault(code="max_tokens_unaffordable", affordable_tokens=1000)
    assert amended(Amends(), name, fault, ask(params={"max_tokens": 50}), TASK, candidate()) is None
    assert amended(Amends(), name, fault, ask(), PLAIN, candidate()) is None
    assert amended(Amends(), "affordable_tokens", Fault(code="x"), ask(), TASK, candidate()) is None
    assert amended(Amends(), "", fault, ask(), TASK, candidate()) is None


def test_history_without_foreign_reasoning() -> None:
    """Damaged reasoning details are left out of every turn; nothing else is."""
    turn = {
        "role": "assistant",
        "content": "x",
        "reasoning_details": [{"type": "reasoning.text"}],
        "name": "n",
    }
    sent = body(ask(messages=(turn, USER)), amends=Amends(frozenset({"no_reasoning_details"})))
    assert sent["messages"][0] == {"role": "assistant", "content": "x", "name": "n"}


def test_a_users_turn_after_a_refused_prefill() -> None:
    """A model that wants the user last gets a turn without words: no language is put into the chat."""
    sent = body(
        ask(messages=(USER, {"role": "assistant", "content": "1,"})), amends=Amends(frozenset({"user_turn"}))
    )
    assert [m["role"] for m in sent["messages"]] == ["user", "assistant", "user"]
    assert not any(letter.isalpha() for letter in sent["messages"][-1]["content"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"messages": ()}, "empty"),
        ({"params": {"stop": ["a"] * 5}}, "at most 4"),
        ({"params": {"response_format": {"json_schema": {"name": "x" * 65}}}}, "at most 64"),
        ({"params": {"max_tokens": 0}}, "max_tokens has to be 1 at least, and is 0"),
        ({"params": {"max_tokens": -1_000_000}}, "max_tokens has to be 1 at least, and is -1000000"),
        ({"params": {"max_completion_tokens": -1}}, "max_completion_tokens has to be 1 at least, and is -1"),
        ({"params": {"max_tokens": 5, "max_completion_tokens": 0}}, "max_completion_tokens has to be"),
    ],
)
def test_refused_before_it_is_sent(changes: dict[str, Any], says: str) -> None:
    """What the wire's own rules refuse is told with the limit's name."""
    with pytest.raises(InvalidRequest, match=says):
        check(ask(**changes))


@pytest.mark.parametrize("cap", [1, 10**9, None, 100.0, "100", -0.5, True])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_what_is_theirs_to_judge(name: str, cap: Any) -> None:
    """The smallest cap, none, and what is no whole number: the upstream makes of it what it will."""
    check(ask(params={name: cap}))


@pytest.mark.parametrize("value", [object(), {"x": {1, 2, object()}}, "\ud800", float])
def test_what_json_cannot_say(value: Any) -> None:
    """A value that is no JSON is the caller's mistake, told as one."""
    with pytest.raises(InvalidRequest, match="cannot be written as JSON"):
        compose(ask(params={"x": value}), PLAIN, candidate(), Amends())


def test_deep_nesting_is_no_crash() -> None:
    """Neither is a value nested beyond reason."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(InvalidRequest):
        compose(ask(params={"x": deep}), PLAIN, candidate(), Amends())
    while deep:  # taken apart by hand: the interpreter would recurse
        deep = deep.pop()


def test_a_held_answer_is_read_back() -> None:
    """The local model's JSON becomes a call or words; what was cut stays as it is."""
    call = unheld(Reply(text='{"name":"f","arguments":{"a":1}}', finish_reason="stop"), "c1")
    assert (call.text, call.tool_calls[0].arguments, call.finish_reason) == ("", '{"a":1}', "tool_calls")
    assert unheld(Reply(text='{"text":"hi"}', finish_reason="stop"), "c1").text == "hi"
    assert unheld(Reply(text='{"te', finish_reason="length"), "c1").text == '{"te'


PART = [{"type": "text", "text": "x"}]
OBJECT = Model(id="a/b", name="B")
"""JSON can say it, and it is no dict."""


@pytest.mark.parametrize(
    ("changes", "model", "bounded"),
    [
        ({}, "a/b", True),
        ({}, "a/b:online", False),
        ({"params": {"plugins": [{"id": "web"}]}}, "a/b", False),
        ({"params": {"web_search_options": {}}}, "a/b", False),
        ({"params": {"tools": [{"type": "function", "function": {"name": "f"}}]}}, "a/b", True),
        ({"params": {"tools": [{"type": "openrouter:web_search"}]}}, "a/b", False),
        ({"params": {"tools": ({"type": "function", "function": {"name": "f"}},)}}, "a/b", True),
        ({"params": {"tools": ({"type": "openrouter:web_search"},)}}, "a/b", False),
        ({"params": {"tools": [{"type": "function"}, OBJECT]}}, "a/b", False),
        ({"params": {"tools": {"type": "function"}}}, "a/b", False),
        ({"params": {"tools": None}}, "a/b", True),
        ({}, "@preset/mine", False),
        ({}, "a/b@preset/mine", False),
        ({"params": {"preset": "mine"}}, "a/b", False),
        ({"params": {"provider": None}}, "a/b", True),
        ({"params": {"provider": {"zdr": True}}}, "a/b", True),
        ({"params": {"provider": OBJECT}}, "a/b", False),
        ({"params": {"provider": ["openai"]}}, "a/b", False),
        ({"params": {"service_tier": "flex"}}, "a/b", True),
        ({"params": {"service_tier": "priority"}}, "a/b", False),
        ({"params": {"max_tokens": None}}, "a/b", True),
        ({"params": {"max_tokens": 100, "max_completion_tokens": 100}}, "a/b", True),
        ({"params": {"max_tokens": 100.0}}, "a/b", False),
        ({"params": {"max_completion_tokens": "100"}}, "a/b", False),
        ({"params": {"max_tokens": True}}, "a/b", False),
        ({"params": {"max_tokens": 100, "max_completion_tokens": "100"}}, "a/b", False),
        ({"params": {"n": 3.0}}, "a/b", True),
        ({"params": {"n": "3"}}, "a/b", False),
        ({"messages": ({"role": "user", "content": PART},)}, "a/b", True),
        ({"messages": ({"role": "user", "content": [{"type": "image_url"}]},)}, "a/b", False),
        ({"messages": ({"role": "user", "content": [*PART, {"type": "file"}]},)}, "a/b", False),
    ],
)
def test_what_bytes_and_tokens_bound(changes: dict[str, Any], model: str, bounded: bool) -> None:
    """Searches, plugins and files have fees of their own: under a bound on cost they are not sent unreckoned."""
    assert is_bounded(ask(**changes), Plan(candidates=(), task=""), candidate(model=model)) is bounded


@pytest.mark.parametrize(
    ("wanted", "paid"),
    [
        (None, 1),
        (1, 1),
        (3, 3),
        (3.0, 3),
        (2.1, 3),
        (0, 1),
        (-4, 1),
        (float("inf"), 1),
        (float("nan"), 1),
    ],
)
def test_how_many_answers_are_paid_for(wanted: Any, paid: int) -> None:
    """Every one that is asked for, however the number is written, be it by the caller or by the task."""
    assert answers(ask(params={"n": wanted}), PLAIN) == paid
    assert answers(ask(), replace(PLAIN, defaults={"n": wanted})) == paid
    assert answers(ask(params={"n": wanted}), replace(PLAIN, defaults={"n": 9})) == paid


BOUND = replace(PLAIN, is_bound=True)
LONG = Model(
    id="a/b",
    name="B",
    price=Price(prompt=Decimal("0.000001"), completion=Decimal("0.000002")),
    max_completion_tokens=16_000,
)


@pytest.mark.parametrize(
    ("params", "defaults", "cap", "most"),
    [
        ({}, {}, None, None),
        ({}, {}, 5, 5),
        ({"n": 2}, {}, None, None),
        ({"n": 2}, {}, 5, 5),
        ({}, {"max_tokens": 9}, None, 9),
        ({}, {"max_tokens": 9}, 5, 5),
        ({"max_tokens": 7}, {"max_tokens": 9}, 5, 7),
        ({"max_tokens": 7, "max_completion_tokens": 8}, {}, None, 8),
        ({"max_tokens": "7", "max_completion_tokens": 8}, {}, None, 8),
        ({"max_tokens": "7"}, {"max_tokens": 9}, 5, None),
        ({"max_tokens": True}, {}, None, None),
        ({"max_tokens": None}, {"max_completion_tokens": 9}, None, None),
        ({"temperature": 1}, {"max_completion_tokens": 9, "max_tokens": 2.5}, None, 9),
    ],
)
def test_how_long_an_answer_can_be(
    params: dict[str, Any], defaults: dict[str, Any], cap: int | None, most: int | None
) -> None:
    """The caller's own word before a cap of ours, and that before the task's; what is no whole number bounds nothing."""
    plan, asked, amends = replace(PLAIN, defaults=defaults), ask(params=params), Amends(cap=cap)
    assert output_cap(asked, plan, candidate(), amends) == most
    assert compose(asked, plan, candidate(), amends).cap == most


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_task_may_cap_by_either_name(name: str) -> None:
    """What it says is what is reckoned with; a shorter cap of ours stands in its place, and not beside it."""
    plan, to = replace(BOUND, defaults={name: 4096}), candidate(info=LONG)
    assert output_cap(ask(), plan, to, UNCHANGED) == 4096
    sent = body(ask(), plan, to)
    assert [sent.get(one) for one in CAPS if one in sent] == [4096]
    shorter = affordable(ask(), plan, to, UNCHANGED, lambda cap: cap, 600)
    assert shorter is not None
    assert (shorter.cap, output_cap(ask(), plan, to, shorter)) == (600, 600)
    sent = body(ask(), plan, to, shorter)
    assert {one: sent[one] for one in CAPS if one in sent} == {"max_tokens": 600}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("cap", [7, 100.0, "100", True])
def test_the_callers_cap_is_sent_as_it_is(name: str, cap: Any) -> None:
    """Also under a bound, and where it is no whole number: none of ours is put beside it."""
    asked, to = ask(params={name: cap}), candidate(info=LONG)
    sent = body(asked, BOUND, to)
    assert {one: sent[one] for one in CAPS if one in sent} == {name: cap}
    assert output_cap(asked, BOUND, to, UNCHANGED) == (cap if cap == 7 else None)
    assert affordable(asked, BOUND, to, UNCHANGED, lambda cap: cap, 600) is None


def test_a_cap_of_null_is_none() -> None:
    """It says nothing, so what is reckoned with goes along."""
    asked, to = ask(params={"max_tokens": None}), candidate(info=LONG)
    assert body(asked, BOUND, to)["max_tokens"] == 16_000
    assert body(asked, PLAIN, to)["max_tokens"] is None
    assert affordable(asked, BOUND, to, UNCHANGED, lambda cap: cap, 600) == Amends(cap=600)


def test_a_provider_of_null_takes_our_price() -> None:
    """It says nothing, so the price that was reckoned with goes along."""
    sent = body(ask(params={"provider": None}), BOUND, candidate(info=LONG))
    assert sent["provider"] == {"max_price": {"prompt": 1, "completion": 2, "request": 0}}


@pytest.mark.parametrize(
    ("params", "mandatory", "is_dropped"),
    [
        ({"reasoning": {"enabled": False}}, True, True),
        ({"reasoning": {"effort": "none"}}, True, True),
        ({"reasoning_effort": "none"}, True, True),
        ({"reasoning": {"effort": "high"}}, True, False),
        ({"reasoning": {"enabled": False}}, False, False),
        ({}, True, False),
    ],
)
def test_reasoning_is_not_switched_off_where_it_cannot_be(
    params: dict[str, Any], mandatory: bool, is_dropped: bool
) -> None:
    """A model that is known to refuse it is not sent the field; an effort that was asked for stays (ERR-14)."""
    info = Model(id="a/b", name="B", reasoning_mandatory=mandatory)
    who = Candidate(model="a/b", name="B", route="openrouter", why="", info=info)
    ask = Ask(id="0" * 32, messages=(USER,), params=params)
    sent = json.decode(compose(ask, PLAIN, who, beginning(ask, who)).request.body)
    assert {name: sent.get(name) for name in params} == (dict.fromkeys(params) if is_dropped else params)


@pytest.mark.parametrize(("last", "is_mended"), [("assistant", True), ("user", False), ("tool", False)])
def test_a_turn_of_ours_only_follows_an_assistants(last: str, is_mended: bool) -> None:
    """A model that wants a user's turn last is sent one only where the last one was the assistant's."""
    ask = Ask(id="0" * 32, messages=(USER, {"role": last, "content": "x"}))
    who = Candidate(model="a/b", name="B", route="openrouter", why="")
    found = amended(UNCHANGED, "user_turn", Fault(code="prefill_refused"), ask, PLAIN, who)
    assert (found is not None) is is_mended
