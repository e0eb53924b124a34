"""Questions and what comes of them, against a real server."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from answers import CATALOGUE, Answer
from canary import CANARY, assert_no_canary
from upstream import MODEL, End, Upstream, chunk, error, events, nobody, whole, words


def test_stdout_holds_the_answer_only(byte, keyed: Upstream) -> None:
    """The answer goes to stdout; which model answers, and why, to stderr."""
    result = byte("-m", MODEL, "hi")
    assert (result.exit_code, result.stdout) == (0, "Hello there.\n")
    assert result.stderr == "▸ GPT-4o mini: you named it\n"


def test_a_task_goes_along(byte, keyed: Upstream) -> None:
    """-t brings the task's prompt, -s the user's own, in this order; the question comes last."""
    assert byte("-t", "coding", "-s", "Be brief.", "hi", "you").exit_code == 0
    sent = keyed.chats[0].json["messages"]
    assert [one["role"] for one in sent] == ["system", "system", "user"]
    assert "coding assistant" in sent[0]["content"]
    assert [one["content"] for one in sent[1:]] == ["Be brief.", "hi you"]


def test_options_go_through(byte, keyed: Upstream) -> None:
    """-o takes JSON where it is JSON, and text where not."""
    result = byte(
        *("-m", MODEL, "-o", "temperature", "0.2", "-o", "stop", '["a", "b"]'),
        *("-o", "user", "ada", "-o", "new_field", "NaN", "-o", "reasoning", '{"effort": "low"}', "hi"),
    )
    assert result.exit_code == 0
    sent = keyed.chats[0].json
    assert sent["temperature"] == 0.2
    assert sent["stop"] == ["a", "b"]
    assert (sent["user"], sent["new_field"]) == ("ada", "NaN")
    assert sent["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize(
    "name", ["model", "models", "task", "messages", "stream", "self", "on_chunk", "max_cost"]
)
def test_options_that_are_flags_are_refused(byte, keyed: Upstream, name: str) -> None:
    """What has a flag of its own is not set by -o, and nothing is sent."""
    result = byte("-o", name, "1", "hi")
    assert result.exit_code == 2
    assert name in result.stderr
    assert not keyed.chats


def test_what_it_took(byte, keyed: Upstream) -> None:
    """-u tells tokens, money, times and attempts on stderr, and below it the day."""
    *_, took, day = byte("-m", MODEL, "-u", "hi").stderr.splitlines()
    assert took.startswith("7 tokens in, 2 out · $0.000042 · first token after ")
    assert took.endswith("1 attempt")
    assert day == "today (UTC) $0.000042"


def test_json_is_one_object(byte, keyed: Upstream) -> None:
    """--json prints one object with the names that others build on, money as decimal text."""
    result = byte("--json", "-m", MODEL, "hi")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert told["text"] == "Hello there."
    assert (told["model"], told["task"], told["finish_reason"], told["seams"]) == (MODEL, "", "stop", [])
    assert (told["cost"], told["cost_known"], told["usage"]["cost"]) == ("0.000042", "reported", "0.000042")
    assert told["usage"]["prompt_tokens"] == 7
    (attempt,) = told["attempts"]
    assert attempt["model"] == MODEL
    assert attempt["outcome"] == "answered"
    assert attempt["cost"] == "0.000042"
    assert attempt["generation_id"] == told["generation_id"]
    assert told["generation_id"].startswith("gen-")
    assert {"model_name", "id", "why", "notes", "provider", "native_finish_reason"} <= told.keys()
    assert "error" not in told


FAILURES = [
    (error(401), 10, "authentication", "Invalid API key. Check your OpenRouter configuration."),
    (error(402), 12, "insufficient_credits", "Insufficient credits. Add funds to your OpenRouter account."),
    (error(403), 11, "permission_denied", "Your API key may not do this."),
    (error(400, message="bad field"), 14, "invalid_request", "refused as invalid"),
    (words(finish=None, usage=None, done=False), 24, "truncated", "broke off"),
    (events(chunk({"content": "I"}), chunk({"content": ""}, finish="content_filter")), 4, "content_filtered", "content"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "code", "name", "sentence"), FAILURES, ids=[one[2] for one in FAILURES])
def test_each_failure_has_its_code(
    byte, keyed: Upstream, answer: Answer, code: int, name: str, sentence: str
) -> None:
    """A failure is a sentence and an exit code, in words and in JSON."""
    keyed.script(answer)
    result = byte("-m", MODEL, "hi")
    assert result.exit_code == code
    assert sentence in result.stderr
    told = byte("--json", "-m", MODEL, "hi")
    assert told.exit_code == code
    found = json.loads(told.stdout)
    assert found["error"]["code"] == name
    assert sentence in found["error"]["message"]
    assert found["attempts"]


def test_the_provider_has_its_say(byte, keyed: Upstream) -> None:
    """The upstream's own words stand below ours, without the key and without control characters."""
    keyed.script(error(400, message=f"field \x1b[31mfoo of {CANARY} is wrong"))
    result = byte("-m", MODEL, "hi")
    assert "The provider said: field [31mfoo of [key] is wrong" in result.stderr


def test_a_refusal_cannot_steer_the_terminal(byte, keyed: Upstream) -> None:
    """A refusal is told on stderr, without control characters."""
    keyed.script(events(chunk({"refusal": "no\x1b[2J"}), chunk({}, finish="stop"), "[DONE]"))
    assert "The model refused: no[2J\n" in byte("-m", MODEL, "hi").stderr


def test_a_partial_answer_is_printed(byte, keyed: Upstream) -> None:
    """Words that came before the break are on stdout, streamed or not, and in the JSON."""
    broken = words("one two", finish=None, usage=None, done=False)
    keyed.script(broken)
    for args in ([], ["--no-stream"]):
        result = byte("-m", MODEL, *args, "hi")
        assert (result.stdout, result.exit_code) == ("one two\n", 24), args
    told = json.loads(byte("-m", MODEL, "--json", "hi").stdout)
    assert (told["text"], told["finish_reason"], told["error"]["code"]) == ("one two", "", "truncated")


def test_a_cut_answer_has_its_own_code(byte, keyed: Upstream) -> None:
    """An answer cut by max_tokens is printed, told as cut, and no success."""
    keyed.script(words("one two", finish="length"))
    result = byte("-m", MODEL, "hi")
    assert (result.stdout, result.exit_code) == ("one two\n", 3)
    assert "token limit" in result.stderr
    assert json.loads(byte("-m", MODEL, "--json", "hi").stdout)["finish_reason"] == "length"


def test_who_answered_instead_is_told(byte, keyed: Upstream) -> None:
    """Several -m make a chain; when the next one answers, that and the reason are told."""
    keyed.script(error(400, message="gone", error_type="model_not_found"), words(model="google/gemini-3-pro"))
    result = byte("-m", MODEL, "-m", "google/gemini-3-pro", "-u", "hi")
    assert (result.stdout, result.exit_code) == ("Hello there.\n", 0)
    # By its name, where the catalogue was here in time.
    assert re.search(rf"▸ (google/gemini-3-pro|Gemini 3 Pro.*) answered instead \({MODEL}: ", result.stderr)
    assert "2 attempts\n" in result.stderr


def test_all_that_were_asked_are_told(byte, keyed: Upstream) -> None:
    """When nobody answers, everybody who was asked is named."""
    keyed.script(error(404, message="No endpoints found"))
    result = byte("-m", MODEL, "-m", "google/gemini-3-pro", "hi")
    assert result.exit_code == 6
    assert f"Asked: {MODEL} (" in result.stderr
    assert "google/gemini-3-pro (" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "hint"),
    [
        (["-t", "codng", "hi"], 6, "Did you mean: coding"),
        (["-m", "sonet", "hi"], 6, "sonnet"),
        ([""], 14, "byte ask --help"),
        (["   "], 14, "byte ask --help"),
        (["--timeout", "0", "hi"], 14, ""),
        (["--max-cost", "nothing", "hi"], 14, ""),
        (["-m", MODEL, "--max-cost", "0.0000001", "hi"], 12, "max_tokens"),
        (["-a", "nowhere.txt", "hi"], 14, ""),
    ],
)
def test_a_callers_mistake_sends_nothing(
    byte, keyed: Upstream, home: Path, args, code: int, hint: str
) -> None:
    """What cannot be meant is told with what to do, and nothing is sent."""
    _bring_catalogue(byte)
    result = byte(*args)
    assert result.exit_code == code
    assert "Error: " in result.stderr
    assert hint in result.stderr
    assert not keyed.chats
    told = byte("--json", *args)
    assert told.exit_code == code
    assert json.loads(told.stdout)["error"]["message"]


def _bring_catalogue(byte) -> None:
    assert byte("models", "--refresh").exit_code == 0


def test_without_key_and_model_the_ways_are_told(byte) -> None:
    """Nobody there to answer: the two ways to go on."""
    result = byte("hi")
    assert result.exit_code == 7
    assert "There is no OpenRouter key, and the local model is not installed." in result.stderr
    assert "byte keys set" in result.stderr
    assert "byte local install" in result.stderr


def test_nobody_listens(byte, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is a sentence about the network."""
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", nobody())
    result = byte("-m", MODEL, "-o", "x", "1", "hi")
    assert result.exit_code == 23
    assert "Check your network connection" in result.stderr


def test_explain_asks_nobody(byte, keyed: Upstream) -> None:
    """--explain tells models, reasons and the worst case, and no model hears of it."""
    result = byte("--explain", "-m", MODEL, "-o", "max_tokens", "100", "hi")
    assert result.exit_code == 0
    assert MODEL in result.stdout
    assert "Worst case of the first: $0.0001" in result.stdout
    told = json.loads(byte("--explain", "--json", "-t", "coding", "hi").stdout)
    assert told["task"] == "coding"
    assert told["candidates"][0]["model"] == "~anthropic/claude-sonnet-latest"
    assert float(told["worst_case"]) > 0
    assert not keyed.chats


CODE = "Sure:\n\n```python\nprint(1)\n```\n\n```\nprint(2)\n```"


@pytest.mark.parametrize(
    ("answer", "printed"),
    [(CODE, "print(1)\n"), ("No code.", "No code.\n"), ("```sh\nls", "ls\n")],
)
def test_extract_prints_the_first_code_block(byte, keyed: Upstream, answer: str, printed: str) -> None:
    """-x prints the first fenced block alone; without one, everything, and says so."""
    keyed.script(events(chunk({"content": answer}), chunk({}, finish="stop"), "[DONE]"))
    result = byte("-m", MODEL, "-x", "hi")
    assert (result.stdout, result.exit_code) == (printed, 0)
    assert ("no code block" in result.stderr) == (answer == "No code.")


def test_tool_calls_are_the_answer_where_there_are_no_words(byte, keyed: Upstream) -> None:
    """An answer that only calls tools is printed as JSON, a line a call."""
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 1}'},
    }
    keyed.script(events(chunk({"tool_calls": [call]}), chunk({}, finish="tool_calls"), "[DONE]"))
    result = byte("-m", MODEL, "-o", "tools", "[]", "hi")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"id": "call_1", "name": "add", "arguments": '{"a": 1}'}


def test_a_conversation_goes_on(byte, keyed: Upstream, home: Path) -> None:
    """-c sends what was said before, with the task, the models and the system message of then."""
    keyed.script(words("Four."), words("Six."))
    assert byte("-m", MODEL, "-s", "Be brief.", "2+2?").exit_code == 0
    assert byte("-c", "and 3+3?").exit_code == 0
    sent = keyed.chats[1].json
    assert sent["model"] == MODEL
    assert [(one["role"], one["content"]) for one in sent["messages"]] == [
        ("system", "Be brief."), ("user", "2+2?"), ("assistant", "Four."), ("user", "and 3+3?"),
    ]  # fmt: skip
    (file,) = (home / "conversations").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().splitlines()) == 2
    assert_no_canary(home)


def test_who_names_a_task_later_gets_it(byte, keyed: Upstream) -> None:
    """A task or model named with -c replaces those of before."""
    assert byte("-m", MODEL, "hi").exit_code == 0
    assert byte("-c", "-t", "coding", "hi").exit_code == 0
    assert keyed.chats[1].json["model"] == "~anthropic/claude-sonnet-latest"


def test_what_is_not_to_be_kept_is_not(byte, keyed: Upstream, home: Path) -> None:
    """--no-save writes nothing of the conversation; -c then finds none and says so."""
    assert byte("--no-save", "-m", MODEL, "hi").exit_code == 0
    assert not (home / "conversations").exists()
    result = byte("-c", "-m", MODEL, "hi")
    assert result.exit_code == 0
    assert "no conversation to go on with" in result.stderr


def test_a_broken_answer_is_kept_as_far_as_it_came(byte, keyed: Upstream) -> None:
    """-c after a break goes on from the partial text; an error without words leaves nothing."""
    keyed.script(error(400), words("one two", finish=None, usage=None, done=False), words("three"))
    byte("-m", MODEL, "first")
    byte("-m", MODEL, "count")
    byte("-c", "go on")
    assert [one["content"] for one in keyed.chats[-1].json["messages"]] == ["count", "one two", "go on"]


def test_a_damaged_conversation_is_set_aside(byte, keyed: Upstream, home: Path) -> None:
    """A file that cannot be read costs a warning, not the answer, and is not lost."""
    folder = home / "conversations"
    folder.mkdir(parents=True)
    (folder / "x.jsonl").write_bytes(b'{"user": \xff')
    result = byte("-c", "-m", MODEL, "hi")
    assert (result.exit_code, result.stdout) == (0, "Hello there.\n")
    assert "damaged" in result.stderr
    assert (folder / "x.jsonl.damaged").exists()


def test_a_home_that_cannot_be_written_costs_no_answer(
    byte, keyed: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home below a file: the answer is printed, what could not be written is told, the code is 0."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BYTE_HOME", str(tmp_path / "file" / "home"))
    result = byte("-m", MODEL, "hi")
    assert (result.exit_code, result.stdout) == (0, "Hello there.\n")
    assert result.stderr.count("not recorded") == 1
    assert "conversation is not kept" in result.stderr


def test_a_corrupt_ledger_costs_no_answer(byte, keyed: Upstream, home: Path) -> None:
    """A database that is none: the answer is printed, and that it has no receipt is told."""
    home.mkdir()
    (home / "ledger.db").write_bytes(b"this is no database" * 1000)
    result = byte("-m", MODEL, "hi")
    assert (result.exit_code, result.stdout) == (0, "Hello there.\n")
    assert "Warning: " in result.stderr
    for args in (["usage"], ["ledger", "verify"]):
        assert byte(*args).exit_code == 8


def test_broken_settings_are_told(byte, home: Path) -> None:
    """Broken TOML: file and line, in words and as JSON."""
    home.mkdir()
    (home / "config.toml").write_text("[ledger\n")
    result = byte("hi")
    assert result.exit_code == 5
    assert "config.toml, line 1" in result.stderr
    assert json.loads(byte("--json", "hi").stdout)["error"]["code"] == "bad_config"


def test_what_is_piped_in_stands_first(byte, keyed: Upstream) -> None:
    """The standard input stands before the words, an empty line between; alone it is the question."""
    assert byte("-m", MODEL, "what is it?", input=b"a diff\n").exit_code == 0
    assert byte("-m", MODEL, input=b"only this\n").exit_code == 0
    assert [one.json["messages"][0]["content"] for one in keyed.chats] == [
        "a diff\n\nwhat is it?",
        "only this",
    ]


def test_bytes_that_are_no_text_are_replaced_and_told(byte, keyed: Upstream) -> None:
    """Non-UTF-8 input is sent with replacements; NUL goes through."""
    result = byte("-m", MODEL, "what?", input=b"caf\xe9\0\n")
    assert result.exit_code == 0
    assert "not valid UTF-8 (first at byte 3)" in result.stderr
    assert keyed.chats[0].json["messages"][0]["content"] == "caf�\0\n\nwhat?"


def test_a_prompt_beyond_the_context_is_refused_with_the_numbers(byte, keyed: Upstream) -> None:
    """10 MB of words do not fit: size and limit are told, and nothing is sent."""
    _bring_catalogue(byte)
    result = byte("-m", MODEL, input=b"word " * 2_000_000)
    assert result.exit_code == 15
    assert "128,000" in result.stderr
    assert not keyed.chats


def test_ten_megabytes_can_be_asked(byte, keyed: Upstream) -> None:
    """Where nothing is known against it, 10 MB are sent whole."""
    keyed.on("/models", whole({"data": []}))
    keyed.on("/models/user", whole({"data": []}))
    assert byte("-m", MODEL, "--no-save", input=b"x" * 10_000_000).exit_code == 0
    assert len(keyed.chats[0].json["messages"][0]["content"]) == 10_000_000


def test_files_go_along(byte, keyed: Upstream, tmp_path: Path) -> None:
    """-a adds texts before the prompt and pictures after it; - is what is piped in."""
    (tmp_path / "a.txt").write_text("some text")
    png = b"\x89PNG\r\n\x1a\n123"
    result = byte("-m", MODEL, "-a", str(tmp_path / "a.txt"), "-a", "-", "what is this?", input=png)
    assert result.exit_code == 0, result.stderr
    parts = keyed.chats[0].json["messages"][0]["content"]
    assert [one["type"] for one in parts] == ["text", "text", "image_url"]
    assert parts[0]["text"] == '<file name="a.txt">\nsome text\n</file>'
    assert parts[1]["text"] == "what is this?"


def test_a_closing_connection_is_no_traceback(byte, keyed: Upstream) -> None:
    """A server that hangs up in the middle: sentence, code, partial text."""
    keyed.script(words("one two three").cut(900, End()))
    result = byte("-m", MODEL, "hi")
    assert result.exit_code == 24
    assert result.stdout.startswith("one")


def test_warnings_of_the_configuration_are_told_once(
    byte, keyed: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two keys that differ: one warning, without either key."""
    monkeypatch.setenv("OPENROUTER_KEY", CANARY + "b")
    result = byte("-m", MODEL, "hi")
    assert result.exit_code == 0
    assert result.stderr.count("OPENROUTER_KEY differ") == 1


def test_the_catalogue_of_the_tests_lists_the_model() -> None:
    """What the tests above rely on."""
    assert any(one["id"] == MODEL for one in CATALOGUE)
