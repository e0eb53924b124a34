"""The page of inference: keys, routing, money, cache, metadata, and what the journal knows of it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from bytedeck.simulator import Settings, Simulator
from bytedeck.simulator.money import accounts
from bytedeck.simulator.words import borrowed
from simclient import HI, MODEL, Came, ask, chat, settled

CHAT = "/api/v1/chat/completions"


def keyed(sim: Simulator, key: str, model: str = MODEL, **body: Any) -> Came:
    return chat(sim, model, headers={"Authorization": f"Bearer {key}"}, **body)


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (accounts.ORDINARY, 200),
        ("sk-or-v1-nobody", 401),
        (accounts.EXPIRED, 401),
        (accounts.DISABLED, 401),
        (accounts.MANAGEMENT, 403),
        (accounts.POOR, 402),
        (accounts.DEBT, 402),
        (accounts.SPENT, 402),
        (accounts.BUDGET, 403),
        (accounts.GUARDRAIL, 403),
    ],
)
def test_who_may_ask(openrouter: Simulator, key: str, status: int) -> None:
    """The built-in keys reach every state; each reply has the generation's header, and only answers are charged."""
    came = keyed(openrouter, key, model="openai/gpt-4o")
    assert came.status == status
    assert came.headers["x-generation-id"].startswith("gen-1787400000-")
    assert len(openrouter.ledger()) == (status == 200)
    assert not any(name.startswith("x-ratelimit") for name in came.headers)


def test_the_key_may_come_as_x_api_key(openrouter: Simulator) -> None:
    """As Anthropic's older clients send it; without any, 401 in the skin's envelope."""
    body = {"model": MODEL, "max_tokens": 5, "messages": HI}
    bare: Any = {"Authorization": None}
    told = bare | {"x-api-key": openrouter.api_key}
    assert ask(openrouter, "POST", "/api/v1/messages", body, told).status == 200
    none = ask(openrouter, "POST", "/v1/messages", body, bare)
    assert (none.status, none.json["error"]["type"], none.json["request_id"]) == (
        401,
        "authentication_error",
        None,
    )
    assert openrouter.journal()[0].headers["x-api-key"] == "…0000"


def test_money_before_limits_and_limits_by_account(openrouter: Simulator) -> None:
    """RL-07: debt is 402 even for :free. RL-04: the 21st in a minute is 429; the clock opens the window again."""
    free = "meta-llama/llama-3.3-70b-instruct:free"
    assert keyed(openrouter, accounts.DEBT, free).status == 402
    assert [chat(openrouter, free).status for _ in range(21)] == [200] * 20 + [429]
    openrouter.advance(61)
    assert chat(openrouter, free).status == 200


def test_cost_ledger_account_and_record_agree(openrouter: Simulator) -> None:
    """`usage.cost` to the last digit; GET /generation knows it a second of the clock later, and not before."""
    came = chat(openrouter, max_tokens=50)
    cost = Decimal(came.body.partition(b'"cost":')[2].partition(b",")[0].decode())
    [row] = openrouter.ledger()
    assert Decimal(row["cost"]) == cost > 0
    account = ask(openrouter, "GET", "/sim/accounts").body.decode()
    [used] = [one["used"] for one in json.loads(account, parse_float=Decimal)["data"] if one["id"] == "sim"]
    assert used == cost
    path = f"/api/v1/generation?id={came.json['id']}"
    assert ask(openrouter, "GET", path).status == 404
    openrouter.advance(1)
    record = json.loads(ask(openrouter, "GET", path).body, parse_float=Decimal)["data"]
    assert (record["total_cost"], record["cancelled"], record["streamed"]) == (cost, False, False)


def test_the_402_says_what_can_be_afforded_and_means_it(openrouter: Simulator) -> None:
    """ERR-08: with so many max_tokens the request passes, with one more it does not."""
    no = keyed(openrouter, accounts.POOR, "openai/gpt-4o", max_tokens=16_000)
    told = no.json["error"]["message"]
    most = int(told.partition("can only afford ")[2].partition(".")[0])
    assert keyed(openrouter, accounts.POOR, "openai/gpt-4o", max_tokens=most + 1).status == 402
    assert keyed(openrouter, accounts.POOR, "openai/gpt-4o", max_tokens=most).status == 200


def test_the_response_cache(openrouter: Simulator) -> None:
    """MISS, then HIT under a new id for nothing; streamed apart; another key order or a fault misses; TTL by the clock."""
    on = {"X-OpenRouter-Cache": "true", "X-OpenRouter-Cache-TTL": "60abc", "X-OpenRouter-Metadata": "enabled"}
    miss, hit = chat(openrouter, headers=on), chat(openrouter, headers=on)
    assert miss.headers["x-openrouter-cache-status"] == "MISS"
    assert hit.headers["x-openrouter-cache-status"] == "HIT"
    assert hit.headers["x-openrouter-cache-source-id"] == miss.json["id"] != hit.json["id"]
    assert miss.json["choices"] == hit.json["choices"]
    assert (hit.json["usage"]["total_tokens"], hit.json["usage"]["cost"]) == (0, 0)
    assert "openrouter_metadata" in miss.json
    assert "openrouter_metadata" not in hit.json
    stream = chat(openrouter, headers=on, stream=True)
    assert stream.headers["x-openrouter-cache-status"] == "MISS"
    again = chat(openrouter, headers=on, stream=True)
    assert again.headers["x-openrouter-cache-status"] == "HIT"
    assert again.text == stream.text
    assert chat(openrouter, headers=on, fault="error_body").json.get("error")
    openrouter.advance(60)
    assert chat(openrouter, headers=on).headers["x-openrouter-cache-status"] == "MISS"
    assert [row["outcome"] for row in openrouter.ledger()] == [
        "whole",
        "hit",
        "whole",
        "hit",
        "error",
        "whole",
    ]


@pytest.mark.parametrize(
    ("model", "strategy", "concrete"),
    [
        ("openai/gpt-4o-mini", "direct", "openai/gpt-4o-mini"),
        ("openrouter/auto", "auto", None),
        ("openrouter/free", "free", None),
        ("~anthropic/claude-opus-latest", "latest", None),
    ],
)
def test_routing_is_told_to_who_asks(
    openrouter: Simulator, model: str, strategy: str, concrete: str | None
) -> None:
    """SSE-12, RTE-01, RTE-02: on the last chunk only, for "enabled" in any case, and the model is the concrete one."""
    came = chat(openrouter, model, stream=True, headers={"X-OpenRouter-Metadata": "ENABLED"})
    held = [event for event in came.events if "openrouter_metadata" in event]
    assert held == [came.events[-2]]
    told = held[0]["openrouter_metadata"]
    assert (told["requested"], told["strategy"], told["attempt"]) == (model, strategy, 1)
    assert held[0]["model"] == concrete if concrete else held[0]["model"] != model
    if strategy == "auto":
        assert told["pipeline"][0]["data"]["task_type"]
    off = chat(openrouter, model, headers={"X-OpenRouter-Metadata": "true"})
    assert "openrouter_metadata" not in off.json


def test_metadata_stands_beside_an_error(openrouter: Simulator) -> None:
    """Not on a 401 or a 500; the previous attempts do."""
    on = {"X-OpenRouter-Metadata": "enabled"}
    told = chat(openrouter, "sim/overloaded", models=["sim/timeout"], headers=on).json["openrouter_metadata"]
    assert [one["status"] for one in told["attempts"]] == [529, 504]
    assert "openrouter_metadata" not in chat(openrouter, "sim/server", headers=on).json


def test_debug_chunks_come_first_one_for_each_attempt(openrouter: Simulator) -> None:
    """SSE-11: with choices [], and ignored by whoever reads content."""
    on = {"X-OpenRouter-Metadata": "enabled"}
    came = chat(openrouter, "sim/failover", stream=True, debug={"echo_upstream_body": True}, headers=on)
    assert [bool(event.get("debug")) for event in came.events[:3]] == [True, True, False]
    assert came.events[0]["choices"] == []
    assert "debug" not in came.events[0]["debug"]["echo_upstream_body"]


def test_embeddings_and_rerank_cost_what_they_say(openrouter: Simulator) -> None:
    """Bodies with usage and cost, the ledger's to the digit; at the wrong endpoint 400."""
    embedded = ask(
        openrouter, "POST", "/api/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "hello"}
    )
    assert embedded.json["data"][0]["index"] == 0
    reranked = ask(
        openrouter,
        "POST",
        "/api/v1/rerank",
        {"model": "cohere/rerank-v3.5", "query": "cats", "documents": ["dogs bark", "cats purr"]},
    )
    assert reranked.json["results"][0]["index"] == 1
    costs = [json.loads(came.body, parse_float=Decimal)["usage"]["cost"] for came in (embedded, reranked)]
    assert [Decimal(row["cost"]) for row in openrouter.ledger()] == costs
    assert all(cost > 0 for cost in costs)
    wrong = chat(openrouter, "openai/text-embedding-3-small").json["error"]
    assert wrong["availability"]["code"] == "wrong_endpoint"


def test_the_journal_knows_each_request(openrouter: Simulator) -> None:
    """Path, models asked and answering, key, faults, status, id, bytes, tokens, end; queried by glob."""
    chat(openrouter, "sim/overloaded", models=[MODEL])
    chat(openrouter, stream=True, fault="truncated;tokens=3")
    first, second = openrouter.journal()
    assert (first.models, first.model, first.key) == (("sim/overloaded", MODEL), MODEL, "ordinary")
    assert (first.faults, first.status, first.end) == (("overloaded",), 200, "whole")
    assert (second.faults, second.sent_tokens) == (("truncated;tokens=3",), 3)
    assert json.loads(second.body)["messages"] == HI
    assert first.generation == openrouter.ledger()[0]["id"]
    assert first.sent_bytes > 100
    assert openrouter.journal(model="sim/*") == [first]
    assert openrouter.journal(since=1) == [second]
    assert openrouter.journal(limit=0) == []
    assert openrouter.journal(path="*/models") == []


class _Parrot(BaseHTTPRequestHandler):
    """An OpenAI-compatible server with one sentence."""

    seen: list[Any] = []  # noqa: RUF012 - a test's notebook
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append((self.path, self.headers.get("authorization"), body))
        told = json.dumps({"choices": [{"message": {"content": "Polly wants a cracker."}}]}).encode()
        self.send_response(self.status)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # which nobody may ask on the way to this machine
    with HTTPServer(("127.0.0.1", 0), _Parrot) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _Parrot.seen.clear()
        _Parrot.status = 200
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_another_servers_words(openrouter: Simulator, parrot: str) -> None:
    """They take the place of ours, billed by our count; where that server fails, it is a provider that failed."""
    openrouter.reset(words_from=parrot, words_key="sk-parrot")
    came = chat(openrouter, stream=True)
    assert came.text == "Polly wants a cracker."
    [(path, authorization, body)] = _Parrot.seen
    assert (path, authorization) == ("/v1/chat/completions", "Bearer sk-parrot")
    assert body["messages"] == HI
    assert came.events[-2]["usage"]["completion_tokens"] == openrouter.ledger()[0]["completion_tokens"] > 0
    _Parrot.status = 500
    assert chat(openrouter).json["error"]["code"] == 502
    assert [entry.notes for entry in openrouter.journal()] == [(), (f"no words from {parrot}: HTTP 500",)]


def test_a_dead_server_of_words_is_told(openrouter: Simulator) -> None:
    """Before anything is asked of it, and in the journal for each request that wanted words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    assert borrowed.trouble(Settings(words_from=dead)) == "Connection refused"
    openrouter.reset(words_from=dead)
    assert [chat(openrouter).status for _ in range(2)] == [502, 502]
    told = (f"no words from {dead}: Connection refused",)
    assert [entry.notes for entry in openrouter.journal()] == [told, told]


def test_a_server_that_speaks_no_http_is_no_server_of_words(openrouter: Simulator) -> None:
    """It is refused at once, not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            for _ in range(2):
                with listener.accept()[0] as line:
                    line.recv(65_536)
                    line.sendall(b"220 mail.example ESMTP\r\n")

        speaking = threading.Thread(target=speak)
        speaking.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        assert borrowed.trouble(Settings(words_from=url)) == "it does not speak HTTP"
        openrouter.reset(words_from=url)
        assert chat(openrouter).status == 502
        speaking.join()


def test_a_server_of_words_that_answers_is_no_trouble(parrot: str) -> None:
    """Whatever it says, with its key or without."""
    assert borrowed.trouble(Settings(words_from=parrot, words_key="sk-parrot")) == ""


@pytest.mark.parametrize("stream", [False, True])
def test_directives_that_come_to_nothing_are_told(openrouter: Simulator, stream: bool) -> None:
    """The answer is as usual; a header says why, and the journal."""
    for prompt, told in (
        ("[[sim: words=3]]", None),
        ("[[sim: word=3]]", "word is no key: they are say, words, tokens, reasoning, tools, arguments, finish, refusal"),
        ("[[sim: words=many finish=tired]]", "words is 'many', and has to be a whole number; "
         "finish is 'tired', and has to be stop, length, tool_calls, content_filter or error"),
        ("[[sim: words=3, please]]", "words is '3,', and has to be a whole number; 'please' is no key=value"),
        ('[[sim: say="x"', "a [[sim: is not closed by ]]"),
        ("[[sim: tools=get_weather]]", "tools: the request offers none"),
        ("[[sim: reasoning=5]]", f"reasoning: {MODEL} does not think"),
    ):  # fmt: skip
        came = chat(openrouter, stream=stream, messages=[{"role": "user", "content": prompt}])
        assert (came.status, came.headers.get("x-sim-note")) == (200, told), prompt
        assert "; ".join(openrouter.journal()[-1].notes) == (told or ""), prompt


def test_a_call_with_the_arguments_that_were_ordered(openrouter: Simulator) -> None:
    """To the last sign, whether they fit the schema or are JSON at all."""
    tools = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}]
    for ordered in ('{"a": [1, "ö"]}', '{"a": '):
        quoted = ordered.replace('"', '\\"')
        messages = [{"role": "user", "content": f'[[sim: tools=get_time arguments="{quoted}"]]'}]
        came = chat(openrouter, messages=messages, tools=tools)
        [call] = came.json["choices"][0]["message"]["tool_calls"]
        assert call["function"]["arguments"] == ordered


def test_tools_that_were_not_offered_are_told(openrouter: Simulator) -> None:
    """By name, with those that were; words that a call takes the place of; a key in a prompt is masked."""
    tools = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}]

    def note(prompt: str, **more: Any) -> str | None:
        messages = [{"role": "user", "content": prompt}]
        told: str | None = chat(openrouter, messages=messages, tools=tools, **more).headers.get("x-sim-note")
        return told

    assert note("[[sim: tools=get_time]]") is None
    assert note("[[sim: tools=get_weather]]") == "tools: get_weather was not offered, but get_time"
    assert note("[[sim: tools=1]]", tool_choice="none") == "tools: the request's tool_choice goes first"
    assert note('[[sim: tools=1 say="x"]]') == "say: a function is called instead"
    note("[[sim: words=sk-or-v1-0123456789abcdef]]", tool_choice="none")
    assert openrouter.journal()[-1].notes == ("words is '…cdef', and has to be a whole number",)
    many = " ".join(f"k{number}=1" for number in range(20))
    assert (note(f"[[sim: {many}]]", tool_choice="none") or "").endswith("; and 12 more")
    as_json = {"response_format": {"type": "json_object"}, "tool_choice": "none"}
    assert "the answer is JSON" in (note("[[sim: words=3]]", **as_json) or "")


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that takes every request and does not answer before the test is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.settimeout(0.05)
        with contextlib.suppress(TimeoutError, OSError):
            while True:
                with listener.accept()[0] as line:
                    while not line.recv(65_536).endswith(b"}"):
                        pass
                    line.sendall(b"HTTP/1.1 500 Over\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def test_a_mute_server_of_words_holds_nobody(openrouter: Simulator, mute: str) -> None:
    """A client that leaves while its words are waited for leaves nothing open."""
    openrouter.reset(words_from=mute)
    assert chat(openrouter, timeout=0.2).end == "timeout"
    settled(openrouter)
    assert openrouter.stats()["replies"] == 0
    assert openrouter.journal()[0].end == "client left"
    assert openrouter.ledger() == []


def test_a_mute_server_of_words_does_not_delay_the_end(mute: str) -> None:
    """Neither in a thread, nor where the program is told to stop."""
    code = (
        "import sys, threading; from bytedeck.simulator import Settings; from bytedeck.simulator.server import serve;"
        f"serve(Settings(words_from={mute!r}), lambda url: print(url, flush=True))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert child.stdout is not None
        place = urlsplit(child.stdout.readline().decode().strip())
        body = json.dumps({"model": MODEL, "messages": HI}).encode()
        with socket.create_connection((place.hostname, place.port), 5) as line:
            head = f"POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            line.sendall(f"{head}Authorization: Bearer {accounts.ORDINARY}\r\n\r\n".encode() + body)
            time.sleep(0.2)
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=4)
        assert (child.returncode, said) == (0, b"")
    finally:
        child.kill()
        child.wait()


def test_pictures_in_the_prompt_are_counted(openrouter: Simulator) -> None:
    """The record tells of them."""
    url = "data:image/png;base64,iVBORw0KGgo="
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}]
    came = chat(openrouter, "openai/gpt-4o", messages=[{"role": "user", "content": parts}])
    openrouter.advance(1)
    record = ask(openrouter, "GET", f"/api/v1/generation?id={came.json['id']}").json["data"]
    assert record["num_media_prompt"] == 1
