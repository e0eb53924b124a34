"""The simulator's own pages, the routes around them, and who may use them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytedeck.simulator import Simulator, SimulatorError
from simclient import HI, MODEL, Came, ask, chat


def get(sim: Simulator, path: str, **more: Any) -> Any:
    came = ask(sim, "GET", path, **more)
    assert came.status == 200, came.body
    return came.json


def test_every_page_answers(openrouter: Simulator) -> None:
    """The parts of OpenRouter that need no model."""
    feed = ask(openrouter, "GET", "/api/v1/models?use_rss=true")
    assert (feed.headers["content-type"], feed.body[:5]) == ("application/rss+xml", b"<?xml")
    for path in (
        "/models", "/embeddings/models", "/models/user", "/models/count", "/model/openai/gpt-4o", "/models/openai/gpt-4o/endpoints", "/key",
        "/auth/key", "/providers", "/classifications/task", "/benchmarks",
    ):  # fmt: skip
        assert "data" in get(openrouter, f"/api/v1{path}"), path


@pytest.mark.parametrize(
    "path", ["/models", "/models?use_rss=true", "/models?q=simulator", "/embeddings/models"]
)
def test_the_simulators_own_models_are_not_in_the_lists(openrouter: Simulator, path: str) -> None:
    """Official clients see OpenRouter's; who knows the name gets the model, its endpoints and its answers."""
    assert b"sim/" not in ask(openrouter, "GET", f"/api/v1{path}").body


def test_a_client_that_checks_names_by_its_keys_list_finds_them(openrouter: Simulator) -> None:
    """`/models/user` has the simulator's own models, beside those of `/models`."""
    assert b'"sim/truncated"' in ask(openrouter, "GET", "/api/v1/models/user").body
    assert get(openrouter, "/api/v1/models/count")["data"]["count"] < 100
    assert get(openrouter, "/api/v1/model/sim/stall")["data"]["id"] == "sim/stall"
    assert get(openrouter, "/api/v1/models/sim/fine/endpoints")["data"]["endpoints"]
    assert "sim/stall" in {row["model"] for row in get(openrouter, "/sim/faults")["data"]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/", 405),
        ("GET", "/api/v1/", 404),
        ("GET", "/models", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/sim/stats", 404),
        ("GET", "/v1/auth", 404),
        ("GET", "/sim", 404),
        ("GET", "/simple", 404),
        ("GET", "/api/v1/chat/completions", 405),
        ("DELETE", "/api/v1/models", 405),
        ("POST", "/api/v1/key", 405),
        ("GET", "/sim/nothing", 404),
        ("DELETE", "/sim/journal", 405),
        ("OPTIONS", "/api/v1/chat/completions", 204),
        ("HEAD", "/api/v1/models", 200),
    ],
)
def test_unknown_paths_and_methods(openrouter: Simulator, method: str, path: str, status: int) -> None:
    """In OpenRouter's shape, with the methods that would do."""
    came = ask(openrouter, method, path)
    assert (came.status, came.end) == (status, "whole")
    if status in (404, 405):
        assert came.json["error"]["code"] == status
    if status == 405:
        assert came.headers["allow"]
    if method in ("HEAD", "OPTIONS"):
        assert came.body == b""


def test_browsers_may_use_the_api_and_not_control(openrouter: Simulator) -> None:
    """CORS on /api as OpenRouter has it; none on /sim, which answers to the loopback's names only."""
    assert ask(openrouter, "GET", "/api/v1/models/count").headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in ask(openrouter, "GET", "/sim/health").headers
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]:80"):
        for path in ("/sim/journal", "/api/v1/sim/journal"):
            assert ask(openrouter, "GET", path, headers={"Host": host}).status in (403, 404)
        assert ask(openrouter, "GET", "/api/v1/models/count", headers={"Host": host}).status == 200
    for host in ("localhost", "LOCALHOST:9", "[::1]:80", "127.0.0.1"):
        assert ask(openrouter, "GET", "/sim/health", headers={"Host": host}).status == 200
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://localhost:3000", 200)):
        assert ask(openrouter, "GET", "/sim/health", headers={"Origin": origin}).status == status
    openrouter.reset(control_hosts=("sim.example",))
    assert ask(openrouter, "GET", "/sim/health", headers={"Host": "sim.example:80"}).status == 200


def test_the_journal_page_is_the_journal(openrouter: Simulator) -> None:
    """Filtered, limited, without the requests of control; keys are nowhere in it."""
    for _ in range(3):
        chat(openrouter)
    ask(openrouter, "GET", "/api/v1/models/count")
    told = get(openrouter, "/sim/journal?model=openai/*&limit=2")["data"]
    assert [row["number"] for row in told] == [2, 3]
    assert len(get(openrouter, "/sim/journal?path=*/count&since=1")["data"]) == 1
    assert openrouter.api_key not in json.dumps(get(openrouter, "/sim/journal"))
    for bad in ("since=x", "limit=-1", "what=1"):
        assert ask(openrouter, "GET", f"/sim/journal?{bad}").status == 400


def test_a_key_in_a_body_or_a_query_is_masked(openrouter: Simulator) -> None:
    """Wherever it stands, four signs of it are shown."""
    leak = [{"role": "user", "content": f"my key is {openrouter.api_key}"}]
    chat(openrouter, messages=leak)
    ask(openrouter, "GET", f"/api/v1/models/count?key={openrouter.api_key}")
    assert openrouter.api_key not in repr(openrouter.journal())
    assert "…0000" in openrouter.journal()[0].body


def post(sim: Simulator, path: str, body: Any, method: str = "POST") -> Came:
    return ask(sim, method, path, body)


def test_the_clock_is_moved_and_stopped(openrouter: Simulator) -> None:
    """By seconds, to a moment, frozen and thawed."""
    start = get(openrouter, "/sim/clock")["now"]
    assert post(openrouter, "/sim/clock", {"advance": 90}).json == {"now": start + 90, "frozen": True}
    assert post(openrouter, "/sim/clock", {"set": "2026-01-01T00:00:00Z"}).json["now"] == 1767225600
    assert post(openrouter, "/sim/clock", {"freeze": False}).json["frozen"] is False
    for bad in ({"advance": "x"}, {"set": "tomorrow"}, {"go": 1}, []):
        assert post(openrouter, "/sim/clock", bad).status == 400


def test_scripts_are_put_added_and_taken_away(openrouter: Simulator) -> None:
    """Over HTTP as in a file; what is malformed changes nothing."""
    assert post(openrouter, "/sim/script", [{"fault": "overloaded", "times": 1}], "PUT").status == 200
    assert post(openrouter, "/sim/script", {"fault": [{"fault": "timeout"}]}).status == 200
    bad = post(openrouter, "/sim/script", [{"fault": "timout"}])
    assert (bad.status, "Did you mean" in bad.json["error"]["message"]) == (400, True)
    assert [chat(openrouter).status for _ in range(2)] == [529, 504]
    assert [row["met"] for row in get(openrouter, "/sim/script")["data"]] == [1, 2]
    assert ask(openrouter, "DELETE", "/sim/script").json["data"] == []
    assert chat(openrouter).status == 200
    with pytest.raises(SimulatorError, match="no use for whom"):
        openrouter.fault("timeout", whom="all")


def test_the_pages_are_listed(openrouter: Simulator) -> None:
    """At / and /sim/, each page with a sentence; for this machine alone, and not in the journal."""
    told = get(openrouter, "/")
    assert told == get(openrouter, "/sim/")
    rows = {(row["method"], row["path"]) for row in told["pages"]}
    assert {("GET", "/sim/journal"), ("POST", "/sim/clock"), ("PUT", "/sim/script")} <= rows
    assert all(row["what"].endswith(".") for row in told["pages"])
    for path in ("/", "/sim/"):
        assert ask(openrouter, "GET", path, headers={"Host": "evil.example"}).status == 403
        assert ask(openrouter, "GET", path, headers={"Origin": "http://evil.example"}).status == 403
    assert openrouter.journal() == []


def test_the_table_of_faults_is_told(openrouter: Simulator) -> None:
    """Each with its rows, its keys and its model."""
    rows = {row["name"]: row for row in get(openrouter, "/sim/faults")["data"]}
    assert rows["cut"]["params"] == {"tokens": 3, "bytes": 0, "reset": 0}
    assert rows["cut"]["model"] == "sim/cut"
    assert all(
        (row["summary"] and row["rows"] and row["stages"]) or row["name"].endswith(("_finish", "_usage"))
        for row in rows.values()
    )


def test_accounts_and_keys_are_made_and_changed(openrouter: Simulator) -> None:
    """A new account and key, topped up, limited, disabled; at once."""
    assert post(openrouter, "/sim/accounts", {"name": "new", "credits": "0"}).status == 200
    assert post(openrouter, "/sim/keys", {"key": "sk-or-v1-new", "account": "new"}).status == 200
    mine = {"Authorization": "Bearer sk-or-v1-new"}
    assert chat(openrouter, headers=mine).status == 402
    post(openrouter, "/sim/accounts", {"name": "new", "top_up": "5.00"})
    assert chat(openrouter, headers=mine).status == 200
    post(openrouter, "/sim/keys", {"key": "sk-or-v1-new", "limit": "0.0000001"})
    assert chat(openrouter, headers=mine).status == 402
    post(openrouter, "/sim/keys", {"key": "sk-or-v1-new", "disabled": True})
    assert chat(openrouter, headers=mine).status == 401
    for path, bad in (
        ("/sim/accounts", {"name": "new"}),
        ("/sim/accounts", {"name": "none", "top_up": "1"}),
        ("/sim/accounts", {"name": "x", "credits": "lots"}),
        ("/sim/keys", {"key": "k", "account": "none"}),
        ("/sim/keys", {"key": "k", "colour": "red"}),
        ("/sim/keys", "k"),
    ):
        assert post(openrouter, path, bad).status == 400


def test_reset_makes_a_new_world(openrouter: Simulator) -> None:
    """Money, journal and clock as at the start; with other settings if they can be meant."""
    chat(openrouter)
    openrouter.advance(100)
    assert post(openrouter, "/sim/reset", None).json == {"ok": True}
    assert openrouter.ledger() == []
    assert get(openrouter, "/sim/clock")["now"] == 1787400000
    assert post(openrouter, "/sim/reset", {"seed": "other"}).status == 200
    assert get(openrouter, "/sim/health")["seed"] == "other"
    for bad in ({"port": 1}, {"tps": -1}, {"tps": "fast"}, [1]):
        assert post(openrouter, "/sim/reset", bad).status == 400


def test_pkce_from_consent_to_answer(openrouter: Simulator) -> None:
    """/auth hands out a code, shown or by redirect; it is exchanged once for a key that works."""
    code = get(openrouter, "/auth?code_challenge=abc&code_challenge_method=plain")["code"]
    came = post(
        openrouter,
        "/api/v1/auth/keys",
        {"code": code, "code_verifier": "abc", "code_challenge_method": "plain"},
    )
    key = came.json["key"]
    assert chat(openrouter, headers={"Authorization": f"Bearer {key}"}).status == 200
    assert post(openrouter, "/api/v1/auth/keys", {"code": code, "code_verifier": "abc"}).status == 403
    sent = ask(openrouter, "GET", "/auth?callback_url=http://localhost:3000/cb?x=1")
    assert (sent.status, sent.headers["location"].startswith("http://localhost:3000/cb?x=1&code=")) == (
        302,
        True,
    )


def test_tokens_are_counted_without_an_answer(openrouter: Simulator) -> None:
    """POST /messages/count_tokens charges nothing, and knows its models."""
    body = {"model": MODEL, "messages": HI}
    assert post(openrouter, "/api/v1/messages/count_tokens", body).json["input_tokens"] > 0
    assert post(openrouter, "/api/v1/messages/count_tokens", body | {"model": "no/such"}).status == 400
    assert openrouter.ledger() == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"NaN", b'{"a":', b"1e999", b"[" * 50_000, b'{"a":' * 50_000,
        b'{"model": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": {}, "messages": {}}', b'{"model": "sim/", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}',
        b'{"messages": [{"role": "user", "content": "x"}], "input": "x", "models": ["a", "b", "c", "d"], "max_tokens": 5}',
    ],
)  # fmt: skip
def test_no_body_is_too_odd(openrouter: Simulator, body: bytes) -> None:
    """Every path that takes one says 400 to what cannot be meant, and the server goes on."""
    paths = (
        "chat/completions",
        "responses",
        "messages",
        "messages/count_tokens",
        "embeddings",
        "rerank",
        "auth/keys",
    )
    for path in paths:
        came = ask(openrouter, "POST", f"/api/v1/{path}", body)
        assert (came.status, came.end) == (400, "whole"), path
    for path in ("clock", "script", "accounts", "keys"):
        fine = path == "script" and body == b"[]"  # a script without entries
        assert ask(openrouter, "POST", f"/sim/{path}", body).status == (200 if fine else 400), path
    assert {entry.end for entry in openrouter.journal()} == {"whole"}


def test_faults_that_are_meant_badly_break_nothing(openrouter: Simulator) -> None:
    """Line ends in headers, statuses that are none, absurd sizes and paces."""
    for fault in (
        "wrong_type;type=a\r\nX-Evil: 1", "rate_limit;retry_after=1\r\nX-Evil: 1", "html;status=99", "html;status=100000",
        "failover;count=1000000000", "wrong_type;type=日本",
    ):  # fmt: skip
        openrouter.script([{"fault": fault}])
        came = chat(openrouter)
        assert (came.end, "x-evil" in came.headers) == ("whole", False), fault
    openrouter.no_faults()
    openrouter.reset(scale=0)
    assert chat(openrouter, headers={"X-Sim-TPS": "1e-300", "X-Sim-TTFT": "1e300"}).status == 200
    assert chat(openrouter, "sim/overloded", models=[MODEL]).status == 400


def test_the_journals_memory_is_bounded(openrouter: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many entries; bodies of so many signs in all, the oldest go first; long heads and queries are cut."""
    monkeypatch.setattr("bytedeck.simulator.journal._BODIES_KEPT", 2500)
    openrouter.reset(journal=5)
    for number in range(8):
        chat(openrouter, user=f"{number}" * 900, headers={"X-Long": "x" * 10_000})
    ask(openrouter, "GET", "/api/v1/models/count?q=" + "y" * 20_000)
    entries = openrouter.journal()
    assert [entry.number for entry in entries] == [5, 6, 7, 8, 9]
    assert [bool(entry.body) for entry in entries] == [False, False, True, True, False]
    assert all(entry.body_bytes > 900 for entry in entries[:-1])
    assert max(len(value) for entry in entries for value in entry.headers.values()) == 4096
    assert len(entries[-1].query) == 4096
