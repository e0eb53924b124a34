"""Every fault over a real connection: what a client sees of it, what the ledger says, and that nothing is left open."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.faults import table as faults
from bytedeck.simulator.faults.events import COMMENT
from bytedeck.simulator.refusals import named as refusals
from bytedeck.simulator.shapes import Refusal
from simclient import HI, ask, chat, finishes, settled, streamed

ENDLESS = ("hang", "silence", "stall")
OWN = [name for name in faults.table() if name not in refusals.NAMES]


@pytest.mark.parametrize("name", refusals.NAMES)
def test_each_refusal_has_its_status_and_its_shape(sim: Simulator, name: str) -> None:
    """By header and by model, streamed or not, a refusal is a status and OpenRouter's envelope, and costs nothing."""
    row = refusals.ROWS[name]
    for came in (chat(sim, fault=name), chat(sim, model=f"sim/{name}", stream=True)):
        assert (came.status, came.end) == (row.status, "whole")
        assert came.headers["x-generation-id"].startswith("gen-")
        if row.page:
            assert came.headers["content-type"].startswith("text/html")
            assert b"<html" in came.body
        else:
            assert came.json["error"]["code"] == row.status
            assert came.json["error"].get("metadata", {}).get("error_type", "") == row.error_type
    assert sim.ledger() == []


@pytest.mark.parametrize(
    ("fault", "header"),
    [
        ("rate_limit;retry_after=7", "7"),
        ("rate_limit;retry_after=date", "Sat, 22 Aug 2026 12:00:40 GMT"),
        ("overloaded;retry_after=absurd", "86400000"),
        ("overloaded;retry_after=negative", "-5"),
        ("rate_limit;retry_after=garbage", "soon"),
        ("capacity_exhausted", "40"),
    ],
)
def test_retry_after_has_every_form(sim: Simulator, fault: str, header: str) -> None:
    """Seconds, a date on the simulator's clock, and what means nothing good."""
    assert chat(sim, fault=fault).headers["retry-after"] == header


def test_a_limit_tells_its_reset_in_milliseconds_twice(sim: Simulator) -> None:
    """In the headers and mirrored in the metadata, at the end of the UTC day."""
    came = chat(sim, fault="free_per_day")
    mirrored = came.json["error"]["metadata"]["headers"]
    assert mirrored["X-RateLimit-Reset"] == came.headers["x-ratelimit-reset"] == "1787443200000"


@pytest.mark.parametrize(
    ("fault", "choices", "has_id"),
    [("error_chunk", 1, True), ("error_bare", None, False), ("error_no_choices", 0, True)],
)
def test_errors_after_some_tokens(sim: Simulator, fault: str, choices: int | None, has_id: bool) -> None:
    """F1 to F3: so many tokens, then an event with an error in its own shape, then the end without [DONE]; it is free."""
    came = streamed(sim, f"{fault};tokens=4;name=provider_overloaded")
    *before, last = came.events
    assert (came.status, came.end) == (200, "whole")
    assert sum(1 for event in before if event["choices"][0]["delta"]["content"]) == 4
    assert last["error"]["code"] == 503
    assert ("id" in last) is has_id
    assert (None if "choices" not in last else len(last["choices"])) == choices
    [row] = sim.ledger()
    assert (row["cost"], row["outcome"], row["completion_tokens"]) == ("0", "error", 4)


def test_a_finish_of_error_without_error(sim: Simulator) -> None:
    """F4: finish_reason error, a native reason, no error object, and [DONE]."""
    came = streamed(sim, "f4")
    assert finishes(came) == ["error"]
    assert came.events[-1] == "[DONE]"
    assert not any("error" in event for event in came.events[:-1])


def test_errors_in_whole_bodies(sim: Simulator) -> None:
    """F5: 200 and an error without choices. F6: 200, a part of the answer, and the error in its choice."""
    f5, f6 = chat(sim, fault="F5").json, chat(sim, fault="F6").json
    assert f5["error"]["code"] == 429
    assert "choices" not in f5
    [choice] = f6["choices"]
    assert choice["finish_reason"] == "error"
    assert choice["error"]["code"] == 502
    assert choice["message"]["content"]


def test_a_truncated_stream_ends_cleanly_and_says_nothing(sim: Simulator) -> None:
    """T1: a whole body by its framing, without finish_reason, usage and [DONE]; charged as far as it came."""
    came = streamed(sim, "t1;tokens=5")
    assert came.end == "whole"
    assert finishes(came) == []
    assert came.events[-1] != "[DONE]"
    [row] = sim.ledger()
    assert (row["completion_tokens"], row["outcome"], row["finish_reason"]) == (5, "truncated", None)


@pytest.mark.parametrize(("fault", "tokens"), [("silence", 0), ("stall;tokens=2", 2), ("hang", None)])
def test_endless_waits_end_when_the_client_leaves(sim: Simulator, fault: str, tokens: int | None) -> None:
    """T2: comments or nothing at all, until the client goes; nothing is left behind."""
    came = streamed(sim, fault, timeout=0.3)
    assert came.end == "timeout"
    assert came.status == (0 if tokens is None else 200)
    if tokens is not None:
        deltas = [event for event in came.events if event["choices"][0]["delta"]["content"]]
        assert len(deltas) == tokens
        assert (came.body.count(COMMENT) > 3) is (fault == "silence")
    settled(sim)
    assert [entry.end for entry in sim.journal()] == ["client left"]


def test_a_connection_is_reset_before_the_headers(sim: Simulator) -> None:
    """D2b: the client gets RST, and nothing else; or just the end."""
    assert chat(sim, fault="reset").end == "reset"
    assert (chat(sim, fault="close").end, chat(sim, fault="close").raw) == ("eof", b"")
    assert [entry.end for entry in sim.journal()] == ["reset", "cut", "cut"]
    assert [entry.status for entry in sim.journal()] == [None] * 3


def test_a_body_in_one_piece_falls_silent_without_comments(sim: Simulator) -> None:
    """Its length was told: a comment in it would be taken for the answer."""
    came = chat(sim, fault="silence;every=0", timeout=0.2)
    assert (came.status, came.end, came.body) == (200, "timeout", b"")
    settled(sim)
    assert sim.journal()[0].end == "client left"


@pytest.mark.parametrize("reset", [0, 1])
@pytest.mark.parametrize("stream", [True, False])
def test_a_body_is_cut_after_so_many_bytes(sim: Simulator, stream: bool, reset: int) -> None:
    """The connection ends within the body: its framing says that something is missing."""
    came = chat(sim, fault=f"cut;bytes=400;reset={reset}", stream=stream)
    assert came.status == 200
    assert not came.whole
    assert came.end == ("reset" if reset else "eof")
    if not reset:  # RST may overtake what was sent
        assert len(came.body) == 400


def test_a_stream_is_cut_after_so_many_tokens(sim: Simulator) -> None:
    """Exactly so many, and they are what is charged."""
    came = streamed(sim, "cut;tokens=7")
    assert not came.whole
    assert sum(1 for event in came.events if event["choices"][0]["delta"]["content"]) == 7
    settled(sim)
    assert [row["completion_tokens"] for row in sim.ledger()] == [7]


def test_slow_first_token_and_late_headers(sim: Simulator) -> None:
    """Twenty seconds, here milliseconds: of comments after the headers, or of nothing before them."""
    slow, late = streamed(sim, "slow_first_token"), streamed(sim, "late_headers")
    assert slow.body.count(COMMENT) == 21
    assert slow.text == late.text == streamed(sim, "").text


@pytest.mark.parametrize(
    "fault",
    [
        "drip;bytes=7;seconds=0",
        "split_utf8",
        "line_ends;kind=crlf;split=1",
        "line_ends;kind=cr",
        "no_space",
        "many_lines",
        "bom",
        "comments;count=3",
        "debug",
        "pause;tokens=2;seconds=2",
        "double_finish",
        "bare_usage",
        "no_done",
        "no_usage",
        "wrong_type",
        "failover",
    ],
)
def test_what_only_looks_odd_says_the_same(sim: Simulator, fault: str) -> None:
    """Whoever reads by the standard gets every word."""
    say = [{"role": "user", "content": '[[sim: say="Grüße, 你好 und 🦜 — adieu."]]'}]
    came = streamed(sim, fault, messages=say)
    assert came.text == "Grüße, 你好 und 🦜 — adieu."
    assert set(finishes(came)) == {"stop"}


def test_packets_end_within_characters_and_line_ends(sim: Simulator) -> None:
    """What is written in parts comes in parts: a client's decoder meets half a character, and CR without its LF."""
    say = [{"role": "user", "content": '[[sim: say="🦜🦜🦜"]]'}]
    split = streamed(sim, "split_utf8", messages=say)
    chunks = [part for part in split.raw.split(b"\r\n") if part]
    assert any(part.endswith(b"\xf0") for part in chunks)
    ends = streamed(sim, "line_ends")
    assert b"\n\n" not in ends.body.replace(b"\r\n", b"")
    assert any(packet.endswith(b"\r\r\n") for packet in ends.raw.split(b"1\r\n"))


def test_a_malformed_event_stands_between_whole_ones(sim: Simulator) -> None:
    """One event's JSON breaks off; those before and after it are well."""
    blocks = streamed(sim, "malformed;tokens=3").body.decode().split("\n\n")
    bad = []
    for block in blocks:
        data = block.removeprefix("data: ")
        if not block.startswith("data: ") or data == "[DONE]":
            continue
        try:
            json.loads(data)
        except ValueError:
            bad.append(data)
    assert len(bad) == 1
    with pytest.raises(ValueError, match=r".+"):
        _ = chat(sim, fault="malformed").json


def test_double_finish_and_bare_usage(sim: Simulator) -> None:
    """Two finish chunks, the second with the usage; or one, and the usage without choices."""
    double, bare = streamed(sim, "double_finish"), streamed(sim, "bare_usage")
    assert (finishes(double), finishes(bare)) == (["stop", "stop"], ["stop"])
    assert double.events[-2]["usage"]["cost"] > 0
    assert double.events[-2]["choices"]
    assert bare.events[-2]["choices"] == []


def test_a_dripping_answer_takes_seconds_and_not_minutes(sim: Simulator) -> None:
    """Slow enough to be seen, and not so slow that it looks like a stall."""
    usual = faults.table()["drip"].params
    assert 4 < len(streamed(sim, "").body) / usual["bytes"] * usual["seconds"] < 12


def test_html_wrong_types_gzip_and_nothing(sim: Simulator) -> None:
    """Bodies that are not what was asked for."""
    page = chat(sim, fault="html;status=200")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=UTF-8")
    assert chat(sim, fault="wrong_type").headers["content-type"] == "application/octet-stream"
    zipped, plain = streamed(sim, "gzip"), streamed(sim, "")
    assert zipped.headers["content-encoding"] == "gzip"
    shown = gzip.decompress(zipped.body).decode()
    assert shown.count("data: ") == plain.body.decode().count("data: ")
    empty = chat(sim, fault="empty")
    assert (empty.status, empty.body, empty.end) == (200, b"", "whole")


def test_a_big_event_comes_whole(sim: Simulator) -> None:
    """Five megabytes in one event."""
    came = streamed(sim, "big_event;megabytes=5")
    assert max(len(json.dumps(event)) for event in came.events) > 5_000_000


def test_providers_fail_over_before_the_first_token(sim: Simulator) -> None:
    """MID-07: the client sees an answer, and the metadata how many were asked."""
    came = chat(sim, model="sim/failover:count=2", headers={"X-OpenRouter-Metadata": "Enabled"})
    told = came.json["openrouter_metadata"]
    assert (told["attempt"], [one["status"] for one in told["attempts"]]) == (3, [502, 502, 200])
    stuck = chat(sim, model="sim/failover:count=3")
    assert stuck.status == 502
    alone = chat(sim, model="sim/failover", provider={"allow_fallbacks": False})
    assert alone.status == 502


def test_flapping_follows_the_clock(sim: Simulator) -> None:
    """Down for its seconds, up for its seconds, and again; no second is slept."""
    seen = []
    for _ in range(8):
        seen.append(chat(sim, fault="flapping;down=60;up=60").status)
        sim.advance(30)
    assert seen == [503, 503, 200, 200, 503, 503, 200, 200]


def test_times_and_skip_count(sim: Simulator) -> None:
    """Well, broken twice, well for good: what a client with retries has to get through."""
    seen = [chat(sim, model="sim/overloaded:times=2:skip=1").status for _ in range(5)]
    assert seen == [200, 529, 529, 200, 200]


def test_a_chain_falls_over_to_the_next_model(sim: Simulator) -> None:
    """OpenRouter's own fail-over: the refused model is noted, the next one answers and is named."""
    came = chat(
        sim,
        "sim/overloaded",
        models=["sim/timeout", "openai/gpt-4o-mini"],
        headers={"X-OpenRouter-Metadata": "enabled"},
    )
    assert came.json["model"] == "openai/gpt-4o-mini"
    told = came.json["openrouter_metadata"]
    assert told["strategy"] == "fallback"
    assert [one["status"] for one in told["attempts"]] == [529, 504, 200]
    none = chat(sim, "sim/overloaded", models=["sim/timeout"]).json["error"]
    assert (none["code"], none["metadata"]["previous_errors"][0]["status"]) == (504, 529)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("overloded", "Did you mean overloaded?"),
        ("cut;token=3", "takes tokens, bytes, reset, times, skip"),
        ("cut;tokens=many", "needs a whole number"),
        ("cut;tokens=-1", "needs a whole number"),
        ("drip;seconds=nan", "needs a number"),
        ("cut;tokens", "none of them as key=value"),
        ("cut,tokens=3", "'tokens=3' is no fault's name. A fault is written as name;key=value"),
        ("cut tokens=3", "'cut tokens=3' is no fault's name. A fault is written as name;key=value"),
        ("cut,tokens", "'tokens' is no fault's name"),
        ("cut;tokens=3;reset", "not '3;reset'. A fault is written as"),
        ("cut=3", "'cut=3' is no fault's name."),
        ("cut|tokens=3", "A fault is written as"),
        (";tokens=3", "'' is no fault's name"),
        ("cut;tokens=3;many", "needs a whole number from 0 for tokens, not '3;many'"),
        ("nope", "knows no fault 'nope'. All of them: GET /sim/faults"),
        ("randon", "Did you mean random?"),
    ],
)
def test_a_fault_that_cannot_be_meant_is_a_400(sim: Simulator, written: str, told: str) -> None:
    """It says what would be right."""
    said = [chat(sim, fault=written), chat(sim, f"sim/{written}")]
    assert {came.status for came in said} == {400}
    assert all(told in came.json["error"]["message"] for came in said)
    assert all("Did you mean" not in came.json["error"]["message"] for came in said) or "Did" in told


@pytest.mark.parametrize(
    "written",
    [
        "comments;count=2,truncated;tokens=2",
        "comments:count=2,truncated:tokens=2",
        "comments:count=2 , truncated; tokens = 2 ;",
        "sim/comments:count=2,T1:tokens=2",
    ],
)
def test_faults_are_written_alike_everywhere(sim: Simulator, written: str) -> None:
    """Several of them, with either sign, in a header, in a model's place and in a script."""
    model = written if written.startswith("sim/") else f"sim/{written}"
    bodies = [streamed(sim, written).body, streamed(sim, "", model=model).body]
    sim.script([{"fault": written}])
    bodies.append(streamed(sim, "").body)
    for body in bodies:
        assert body.count(b"data: {") == 3  # the role, and two tokens
        assert (
            body.count(COMMENT) == 1 + 2 * 4
        )  # at first one, then two before each, and before the one that is cut
        assert b"[DONE]" not in body


def test_random_in_a_models_place_and_in_a_header(sim: Simulator) -> None:
    """Another fault for each request, the same ones with the same seed; the journal names what it was."""

    def met() -> list[tuple[str, ...]]:
        sim.reset(scale=0)
        for _ in range(12):
            ask(
                sim,
                "POST",
                "/api/v1/rerank",
                {"model": "sim/random", "query": "a", "documents": ["b"]},
                timeout=0.1,
            )
            headers = {"X-Sim-Fault": "random;times=1"}
            ask(
                sim,
                "POST",
                "/api/v1/rerank",
                {"model": "sim/fine", "query": "a", "documents": ["b"]},
                timeout=0.1,
                headers=headers,
            )
        return [entry.faults for entry in sim.journal()]

    once = met()
    assert once == met()
    names = [name for told in once[::2] for name in told]
    assert len(names) == 12
    assert len(set(names)) > 6
    assert set(names) <= set(faults.table())
    assert [len(told) for told in once[1::2]] == [1] + [0] * 11


def test_a_fault_among_several_that_needs_thoughts_has_them(sim: Simulator) -> None:
    """The model of several faults is one that all of them can damage."""
    assert faults.bare_slug("sim/comments,reasoning-only:times=1") == "sim/reasoning_only"
    came = chat(sim, "sim/comments,reasoning-only")
    assert came.json["choices"][0]["message"]["reasoning"]


def test_the_references_ids_are_names_too() -> None:
    """F1 to F6, T1 and T2 each lead to the fault whose row names them."""
    for alias, name in faults.aliases().items():
        assert alias.upper() in faults.table()[name].rows.split(", ")
        assert faults.bare_slug(f"sim/{alias.upper()}:tokens=1") == f"sim/{name}"
    with pytest.raises(Refusal):
        faults.find("f7")


def test_every_row_that_a_server_can_cause_has_a_fault() -> None:
    """The decision table from D2 to D31 (D1 needs no server, D32 is the client's), the six shapes, the two of the transport."""
    causes = {part for row in faults.table().values() for part in row.rows.split(", ")}
    wanted = {f"D{number}" for number in range(2, 32)} | {"D2b", "D25b"}
    wanted |= {f"F{number}" for number in range(1, 7)} | {"T1", "T2"}
    assert wanted <= causes


def test_a_refusal_names_the_provider_that_would_have_answered(sim: Simulator) -> None:
    """By header OpenAI's for OpenAI's model; for a fault's own model a simulated one."""
    told = [
        chat(sim, fault="overloaded"),
        chat(sim, "sim/overloaded"),
        chat(sim, "no/such", fault="overloaded"),
    ]
    names = [came.json["error"]["metadata"]["provider_name"] for came in told]
    assert names == ["OpenAI", "Simulated", "Simulated"]


@pytest.mark.parametrize("path", ["/api/v1/responses", "/api/v1/messages"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", OWN)
def test_every_fault_in_the_other_skins(sim: Simulator, name: str, stream: bool, path: str) -> None:
    """They end as the chat's do, and no request crashes or stays open."""
    body: dict[str, Any] = {"model": f"sim/{name}", "stream": stream, "max_tokens": 60, "messages": HI}
    if path.endswith("responses"):
        body = {"model": f"sim/{name}", "stream": stream, "max_output_tokens": 60, "input": "hi"}
    if name == "big_event":
        body["model"] += ":megabytes=0.5"
    came = ask(sim, "POST", path, body, timeout=0.1 if name in ENDLESS else 5.0)
    assert (came.end == "timeout") is (name in ENDLESS)
    settled(sim)
    assert sim.journal()[-1].end in ("whole", "client left", "reset", "cut")


def test_data_pages_have_bad_days_too(sim: Simulator) -> None:
    """A header's refusals and broken connections hit any page; a script's, those of the skin "data"."""
    headers = {"X-Sim-Fault": "overloaded"}
    assert ask(sim, "GET", "/api/v1/models", headers=headers).status == 529
    assert ask(sim, "GET", "/api/v1/models", headers={"X-Sim-Fault": "reset"}).end == "reset"
    sim.fault("server", skin="data", times=1)
    assert [ask(sim, "GET", "/api/v1/providers").status for _ in range(2)] == [500, 200]
