"""Embeddings and rerank: passed through whole, and all the same with a row, limits, budgets and retries."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import openai
import pytest
from openai import OpenAI
from openrouter import OpenRouter

from answers import Answer, End, whole
from bytedeck.callers import Caller
from bytedeck.claims import Limit, Rates
from bytedeck.simulator import Simulator
from canary import CANARY
from gateways import Gateway, dial, post, read_until
from openapi_spec import description
from upstream import Upstream

EMBED = "openai/text-embedding-3-small"
RERANK = "cohere/rerank-v3.5"
ASKED: dict[str, bytes] = {
    "/embeddings": b'{"x_new":{"b":1.50,"a":[1e-7]},"model":"%s","dimensions":8,"input":["hi","there"]}'
    % EMBED.encode(),
    "/rerank": b'{"query":"cat","x_new":[0.70],"documents":["a cat",{"text":"dog"}],"model":"%s"}'
    % RERANK.encode(),
}


def answered(port: int, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    with dial(port, sent) as connection:
        head, _, rest = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        while len(rest) < int(headers["content-length"]):
            rest += connection.recv(65536)
    return int(first.split()[1]), headers, rest


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("BYTE_CONFIG", str(path))
    return path


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize("path", ASKED)
def test_passed_through(gateway: Gateway, sim: Simulator, path: str, prefix: str) -> None:
    """The caller's own bytes go up, the upstream's own body comes back; one row, with its tokens and its exact cost."""
    status, headers, body = answered(gateway.port, post(prefix + path, ASKED[path], "X-Session-Id: s1"))
    [entry] = sim.journal(path="*" + path)
    assert (status, entry.body.encode(), entry.headers["x-session-id"]) == (200, ASKED[path], "s1")
    assert len(headers["x-request-id"]) == 32
    told = json.loads(body, parse_float=Decimal)
    assert headers["x-byte-model"] == told["model"]
    assert told["id"].startswith("gen-")
    [row] = gateway.rows()
    assert (row.outcome, row.quality, row.task) == ("answered", "reported", "")
    assert row.cost == told["usage"]["cost"] > 0
    assert (row.prompt_tokens, row.generation_id) == (told["usage"]["total_tokens"], told["id"])
    _schema(path).validate(json.loads(body))


def _schema(path: str) -> Any:
    """OpenRouter's own description of the answer."""
    answers = description()["paths"][path]["post"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    schema = {**answers, "components": description()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, offline=True)


def test_official_clients(gateway: Gateway) -> None:
    """They read what comes."""
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=10, max_retries=0) as gpt:
        found = gpt.embeddings.create(model=EMBED, input=["hi", "there"])
        assert [len(one.embedding) for one in found.data] == [1536, 1536]
        with pytest.raises(openai.BadRequestError, match="not a valid model ID"):
            gpt.embeddings.create(model="openai/nope", input="hi")
    with OpenRouter(server_url=f"{gateway.url}/api/v1", api_key="none", timeout_ms=10_000) as router:
        ranked: Any = router.rerank.rerank(model=RERANK, query="cat", documents=["dog", "a cat"])
        assert ranked.results[0].index == 1


def test_what_the_upstream_refuses(gateway: Gateway, sim: Simulator) -> None:
    """Its own status and body, byte for byte; the row says why, and that it cost nothing."""
    sent = b'{"model":"openai/nope","input":"hi"}'
    status, headers, body = answered(gateway.port, post("/v1/embeddings", sent))
    theirs = answered(
        int(sim.url.rpartition(":")[2]),
        post("/api/v1/embeddings", sent, f"Authorization: Bearer {sim.api_key}"),
    )
    assert (status, body) == (theirs[0], theirs[2])
    assert headers["x-should-retry"] == "false"
    [row] = gateway.rows()
    assert (row.outcome, row.cost) == ("model_not_found", 0)


@pytest.mark.parametrize(
    ("fault", "times", "outcomes", "status"),
    [
        ("server", 1, ["server_error", "answered"], 200),
        ("rate_limit;retry_after=0", 1, ["rate_limited", "answered"], 200),
        ("reset", 1, ["connection_lost", "answered"], 200),
        ("server", None, ["server_error", "server_error"], 500),
        ("payment_required", None, ["insufficient_credits"], 402),
        ("authentication", None, ["authentication"], 401),
    ],
)
def test_retries(
    gateway: Gateway, sim: Simulator, fault: str, times: int | None, outcomes: list[str], status: int
) -> None:
    """What passes is asked again, as often as a chat is (wire reference 7); each attempt has its row."""
    sim.fault(fault, skin="embeddings", times=times)
    told, _, body = answered(gateway.port, post("/v1/embeddings", ASKED["/embeddings"]))
    assert told == status
    assert ("data" if status == 200 else "error") in json.loads(body)
    assert [row.outcome for row in reversed(gateway.rows())] == outcomes


@pytest.mark.parametrize(
    ("body", "status", "needle"),
    [
        (b"{", 400, "no JSON"),
        (b"[]", 400, "object"),
        (b'{"input":"hi"}', 400, "model is missing"),
        (b'{"model":5,"input":"hi"}', 400, "model is 5"),
        (b'{"model":"byte/coding","input":"hi"}', 400, "conversations"),
        (b'{"model":"local/byte-small","input":"hi"}', 400, "conversations"),
    ],
)
def test_bad_input(gateway: Gateway, sim: Simulator, body: bytes, status: int, needle: str) -> None:
    """A sentence in OpenAI's form; nobody is asked, nothing is written."""
    told, _, error = answered(gateway.port, post("/v1/embeddings", body))
    assert told == status
    assert needle in json.loads(error)["error"]["message"]
    assert not sim.journal(path="*/embeddings")
    assert not gateway.rows()


def test_without_a_key(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model on this machine makes none, and a sentence says what is missing."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    with Gateway() as gateway:
        status, _, body = answered(gateway.port, post("/v1/embeddings", ASKED["/embeddings"]))
    assert status == 503
    assert "OPENROUTER_API_KEY" in json.loads(body)["error"]["message"]


def test_limits_and_budgets(sim: Simulator, configured: Path) -> None:
    """A limit refuses with 429 and Retry-After. Under a hard budget what no price bounds is not sent; a price of the
    caller's own bounds it, is sent along, and is what is held."""
    configured.write_text('[limits]\nwait = 0\nrequests = "1/hour"\n')
    sent = post("/v1/embeddings", ASKED["/embeddings"])
    with Gateway() as gateway:
        assert answered(gateway.port, sent)[0] == 200
        status, headers, _ = answered(gateway.port, sent)
        assert (status, int(headers["retry-after"]) > 3000) == (429, True)
    configured.write_text('[budget]\ndaily = "1"\n')
    with Gateway() as gateway:
        status, _, body = answered(gateway.port, sent)
        assert status == 402
        assert "bounded" in json.loads(body)["error"]["message"]
        priced = json.loads(ASKED["/embeddings"]) | {
            "provider": {"max_price": {"prompt": 1, "completion": 0}}
        }
        assert answered(gateway.port, post("/v1/embeddings", json.dumps(priced).encode()))[0] == 200
        assert json.loads(sim.journal(path="*/embeddings")[-1].body)["provider"]["max_price"]["prompt"] == 1
        assert [row.outcome for row in gateway.rows()] == ["answered", "answered"]


def test_virtual_keys(sim: Simulator) -> None:
    """Rows and limits are the key's; what it may not use is refused, and is not sent."""
    with Gateway() as gateway:
        keys = gateway.app.hub.house.keys
        may = keys.create(Caller(name="ada", models=(EMBED,), rates=Rates(requests=Limit(1, 3600))))
        others = [
            keys.create(Caller(name="bob", models=("openai/gpt*",))),
            keys.create(Caller(name="eve", tasks=("coding",))),
        ]
        gateway.do(gateway.app.access.refresh())
        told = [
            answered(
                gateway.port, post("/v1/embeddings", ASKED["/embeddings"], f"Authorization: Bearer {secret}")
            )
            for secret in (may, *others, "sk-nobody", may)
        ]
        unseen = ASKED["/embeddings"][:-1] + b',"preset":"@preset/any"}'
        assert (
            answered(gateway.port, post("/v1/embeddings", unseen, f"Authorization: Bearer {may}"))[0] == 403
        )
        assert [status for status, _, _ in told] == [200, 403, 403, 401, 429]
        assert [(row.key, row.outcome) for row in gateway.rows()] == [("ada", "answered")]
    assert len(sim.journal(path="*/embeddings")) == 1


def test_who_hangs_up(gateway: Gateway, sim: Simulator) -> None:
    """The upstream ends, and the row is settled."""
    sim.fault("hang")
    with dial(gateway.port, post("/v1/rerank", ASKED["/rerank"])):
        while not sim.journal(path="*/rerank"):
            pass
    while gateway.app.running:
        pass
    assert [row.outcome for row in gateway.rows()] == ["abandoned"]


def test_an_alias(sim: Simulator, configured: Path) -> None:
    """A short name of one's own stands for a model here, too; nothing else of the body changes."""
    configured.write_text(f'[aliases]\nembed = "{EMBED}"\n')
    with Gateway() as gateway:
        body = ASKED["/embeddings"].replace(EMBED.encode(), b"embed")
        assert answered(gateway.port, post("/v1/embeddings", body))[0] == 200
    sent = sim.journal(path="*/embeddings")[-1].body
    assert json.loads(sent) == json.loads(ASKED["/embeddings"])
    assert '"b":1.50' in sent


JSON = (("Content-Type", "application/json"),)
LONG = (*JSON, ("Content-Length", "500"))
GOOD: dict[str, Any] = {"object": "list", "data": [], "model": EMBED, "usage": {"prompt_tokens": 3}}
ODD: dict[str, tuple[Answer, int, str, str]] = {
    "no JSON": (Answer(headers=JSON, steps=(b"words",), chunked=False), 502, "malformed", "no JSON object"),
    "an error in a 200": (whole({"error": {"message": "Out of space", "code": 502}}), 503, "unavailable", "Out of space"),
    "cut": (Answer(headers=LONG, steps=(b'{"data":[', End()), chunked=False), 502, "truncated", "truncated"),
    "cut in its refusal": (Answer(500, headers=LONG, steps=(b'{"error":', End()), chunked=False), 502, "server_error", "server_error"),
    "without a cost": (whole(GOOD), 200, "answered", '"data":[]'),
    "a page of the web": (Answer(502, headers=(("Content-Type", "text/html"),), steps=(b"<html>Bad",), chunked=False), 502, "unavailable", '"type":"unavailable"'),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_upstreams(
    upstream: Upstream, configured: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What is no answer is told in a form of ours, and one without a cost is settled without one."""
    answer, status, outcome, needle = ODD[name]
    configured.write_text("retries = 0\n")
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", upstream.url)
    upstream.on("/embeddings", answer)
    with Gateway() as gateway:
        told, _, body = answered(gateway.port, post("/v1/embeddings", ASKED["/embeddings"]))
        assert (told, needle in body.decode()) == (status, True), body
        [row] = gateway.rows()
    assert row.outcome == outcome
    if status == 200:
        assert (row.quality, row.cost, row.prompt_tokens) == ("unknown", None, 3)


def test_a_limit_is_waited_for(sim: Simulator, configured: Path) -> None:
    """Where that is soon."""
    configured.write_text('[limits]\nrequests = "2/second, burst 1"\n')
    with Gateway() as gateway:
        for _ in range(2):
            assert answered(gateway.port, post("/v1/embeddings", ASKED["/embeddings"]))[0] == 200
        assert len(gateway.rows()) == 2


def test_what_failed_is_told_and_not_what_followed(sim: Simulator, configured: Path) -> None:
    """A limit lets no second attempt go: the client hears the failure, in the upstream's own words and status."""
    configured.write_text('[limits]\nwait = 0\nrequests = "1/hour"\n')
    sim.fault("server", skin="embeddings")
    with Gateway() as gateway:
        status, headers, body = answered(gateway.port, post("/v1/embeddings", ASKED["/embeddings"]))
        assert (status, headers.get("retry-after")) == (500, None), body
        assert [row.outcome for row in gateway.rows()] == ["server_error"]
        status, headers, body = answered(gateway.port, post("/v1/embeddings", ASKED["/embeddings"]))
        assert (status, "retry-after" in headers) == (429, True), body
