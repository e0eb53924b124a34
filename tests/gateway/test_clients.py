"""Nine clients of Node and Python against the gateway before the simulator: what they are told, and what they raise.

Python's official ones have files of their own, where more is asked of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from bytedeck.callers import Caller
from bytedeck.simulator import Simulator
from gateways import Gateway
from programs import Programs

MODEL = "openai/gpt-4o-mini"
PROMPT = "[[sim: tokens=60]] Why is the sky blue?"
ROUND = "[[sim: tools=1]] What is the weather?"

# Program → what it raises for each of the faults, in their order.
_OPENAI = ("BadRequestError", "AuthenticationError", "RateLimitError", "InternalServerError")
_ROUTER = ("BadRequest", "Unauthorized", "TooManyRequests", "ServiceUnavailable", "PaymentRequired")
_PYDANTIC = ("RequestRejected", "Authentication", "RateLimit", "Unavailable", "QuotaExceeded")
RAISED = {
    "openai.mjs": (*_OPENAI, "APIError"),
    "responses.mjs": (*_OPENAI, "APIError"),
    "anthropic.mjs": (*_OPENAI[:3], "ServiceUnavailableError", "PaymentRequiredError"),
    "openrouter.mjs": tuple(f"{name}ResponseError" for name in _ROUTER),
    "ai.mjs": ("AI_APICallError",) * 5,
    "kit.mjs": ("APIError", "AuthenticationError", "RateLimitError", "APIError", "APIError"),
    "of_langchain.py": tuple(f"{name}ResponseError" for name in _ROUTER),
    "of_pydantic_ai.py": tuple(f"Model{name}Error" for name in _PYDANTIC),
    "of_llm.py": (*_OPENAI, "APIStatusError"),
}
FAULTS = {
    400: "invalid_request",
    401: "authentication",
    429: "rate_limit;retry_after=0",
    503: "overloaded;retry_after=0",
    402: "payment_required",  # the last one: nobody is asked any more then
}
LISTS = ("openai.mjs", "anthropic.mjs", "openrouter.mjs", "kit.mjs")
"""Who can ask for the models."""

ALL = pytest.mark.parametrize("program", RAISED)


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    running = Programs()
    running.warm(RAISED)
    yield running
    running.close()


@pytest.fixture
def ask(programs: Programs, gateway: Gateway) -> Any:
    def asked(program: str, do: str, **more: Any) -> dict[str, Any]:
        return programs.ask(
            program, do, url=gateway.url, **{"model": MODEL, "prompt": PROMPT, "key": "none"} | more
        )

    return asked


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that asks no model twice, so that nobody waits."""
    (tmp_path / "config.toml").write_text("retries = 0\n", "utf-8")
    monkeypatch.setenv("BYTE_CONFIG", str(tmp_path / "config.toml"))


def truth(sim: Simulator) -> str:
    """What the upstream itself says."""
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key, timeout=10) as client:
        messages: Any = [{"role": "user", "content": PROMPT}]
        return client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content or ""


@ALL
def test_it_chats_and_streams(ask: Any, sim: Simulator, gateway: Gateway, program: str) -> None:
    """Both ways the upstream's own words, why they ended, and, where the client tells it, the cost to the last digit."""
    expected = truth(sim)
    for do in ("chat", "stream"):
        told = ask(program, do)
        assert (told["text"], told.get("error")) == (expected, None)
        assert told["finish"] in ("stop", "end_turn", "completed")
        if told.get("cost") is not None:
            assert Decimal(repr(told["cost"])) == Decimal(sim.ledger()[-1]["cost"]) == gateway.rows()[0].cost


@ALL
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_it_calls_tools_and_goes_on(ask: Any, sim: Simulator, program: str, stream: bool) -> None:
    """Arguments by the schema; with the results the answer comes. The upstream gets the history as it was."""
    told = ask(program, "tools", prompt=ROUND, stream=stream)
    [[name, arguments]] = told["calls"]
    assert (name, list(arguments)) == ("get_weather", ["city"])
    assert told["text"]
    *_, last = sim.journal(path="*/chat/completions")
    assert [one["role"] for one in json.loads(last.body)["messages"]] == ["user", "assistant", "tool"]


@ALL
def test_it_gets_what_fits_a_schema(ask: Any, program: str) -> None:
    """Parsed by the client's own helper, where it has one."""
    assert isinstance(ask(program, "json")["data"]["n"], int)


@pytest.mark.parametrize("program", LISTS)
def test_it_lists_models(ask: Any, program: str) -> None:
    """The tasks and what the upstream has."""
    assert {"byte/coding", "byte/auto", MODEL} <= set(ask(program, "models")["models"])


@ALL
@pytest.mark.usefixtures("hasty")
def test_it_raises(ask: Any, sim: Simulator, gateway: Gateway, program: str) -> None:
    """Its own class for each failure, streamed or not, and it asks once: the tries are ours."""
    for (status, fault), name in zip(FAULTS.items(), RAISED[program], strict=True):
        sim.fault(fault)
        for do in ("chat", "stream"):
            error = ask(program, do)["error"]
            assert (error["name"], error["status"]) in ((name, status), (name, None))
        sim.no_faults()
    assert (
        len({row.request for row in gateway.rows()}) == 2 * len(FAULTS) - 1
    )  # for the second 402 nobody was asked


@ALL
def test_it_shows_its_key(ask: Any, gateway: Gateway, program: str) -> None:
    """A virtual key opens the gateway, and its requests are under its name; another text is refused in the client's own class."""
    secret = gateway.app.hub.house.keys.create(Caller(name="ann"))
    gateway.do(gateway.app.access.again())
    assert ask(program, "chat", key=secret)["text"]
    assert ask(program, "chat", key="sk-byte-x")["error"]["name"] == RAISED[program][1]
    assert [row.key for row in gateway.rows()] == ["ann"]


@ALL
def test_a_break_is_gone_on_with(ask: Any, sim: Simulator, gateway: Gateway, program: str) -> None:
    """The task's next model says the rest, and to the client it is one answer."""
    expected = truth(sim)
    sim.fault("cut;tokens=20", times=1, skin="chat")
    told = ask(program, "stream", model="byte/general")
    assert (told["text"], told.get("error")) == (expected, None)
    assert [row.outcome for row in gateway.rows()] == ["answered", "truncated"]


@ALL
def test_a_break_with_no_way_out_is_an_error(ask: Any, sim: Simulator, program: str) -> None:
    """After the words that came; never a whole answer."""
    sim.fault("cut;tokens=20")
    told = ask(program, "stream")
    assert told["error"]["message"]
    assert told["text"]
    assert told.get("finish") not in ("stop", "end_turn", "completed")


def test_the_lock_names_no_place() -> None:
    """Every package by version and integrity, and none by where it is fetched."""
    lock = json.loads((Path(__file__).parent / "node/package-lock.json").read_text("utf-8"))
    rows = [row for name, row in lock["packages"].items() if name]
    assert len(rows) > 50
    assert all(row["integrity"].startswith("sha512-") for row in rows)
    assert "resolved" not in json.dumps(lock)
    assert "://" not in json.dumps(lock)
