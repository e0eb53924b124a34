"""The embedded model as a process: what it is told, what it may see, when it ends, what it answers."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bytedeck.call.local_shape import is_shaped, shape, unshape
from bytedeck.errors import ByteError, ModelUnavailable
from bytedeck.io.local import MODEL_ID, Local, Served

_NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
_HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 6}


@pytest.fixture(scope="module")
def local(local_home: Path) -> Iterator[Local]:
    """The real model, not yet started; ended with the module."""
    running = Local(local_home)
    yield running
    running.stop()


def _ask(served: Served, body: dict[str, Any], key: str | None = None) -> tuple[int, bytes]:
    address = urlsplit(served.base_url)
    connection = HTTPConnection(address.netloc, timeout=60)
    try:
        headers = {"authorization": f"Bearer {served.api_key if key is None else key}"}
        connection.request("POST", f"{address.path}/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _pid(local: Local) -> int:
    assert local._child is not None
    return local._child._process.pid


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.local_model
def test_it_answers_and_names_itself_not_its_file(local: Local) -> None:
    """A started model answers at once, under the id that we know it by."""
    status, body = _ask(local.start(), _HELLO)
    answer = json.loads(body)
    assert status == 200
    assert answer["choices"][0]["message"]["content"].strip()
    assert answer["model"] == MODEL_ID
    assert answer["usage"]["completion_tokens"] > 0


@pytest.mark.local_model
def test_a_shaped_stream_ends_with_its_usage(local: Local) -> None:
    """What `shape` adds makes the server tell the usage at the end of a stream."""
    _, body = _ask(local.start(), shape({**_HELLO, "stream": True}))
    *chunks, done = [line.removeprefix(b"data: ") for line in body.splitlines() if line]
    assert done == b"[DONE]"
    assert json.loads(chunks[-1])["usage"]["completion_tokens"] > 0
    assert [json.loads(chunk)["choices"] for chunk in chunks[-1:]] == [[]]


@pytest.mark.local_model
@pytest.mark.parametrize("key", ["", "wrong"])
def test_it_answers_nobody_else(local: Local, key: str) -> None:
    """Another process of this machine finds the port, but not the key."""
    status, body = _ask(local.start(), _HELLO, key)
    assert status == 401
    assert b"choices" not in body


@pytest.mark.local_model
def test_it_starts_once_for_all_threads(local: Local) -> None:
    """Threads that come at the same time share one process."""
    found: list[Served] = []
    threads = [threading.Thread(target=lambda: found.append(local.start())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.local_model
def test_its_key_is_not_shown(local: Local) -> None:
    """The key is in no repr."""
    served = local.start()
    assert served.api_key not in repr(served)
    assert len(served.api_key) >= 32


@_NEEDS_PROC
@pytest.mark.local_model
def test_it_sees_no_key_and_shows_none(local_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its arguments nor its environment hold a key, its own or one of ours."""
    for name in ("OPENROUTER_API_KEY", "MY_TOKEN", "AWS_SECRET"):
        monkeypatch.setenv(name, "do-not-pass-on")
    local = Local(local_home)
    try:
        served = local.start()
        shown = b"".join(Path(f"/proc/{_pid(local)}/{name}").read_bytes() for name in ("cmdline", "environ"))
    finally:
        local.stop()
    assert b"local_server.py" in shown
    assert b"do-not-pass-on" not in shown
    assert served.api_key.encode() not in shown


@pytest.mark.local_model
def test_a_dead_child_is_replaced(local_home: Path) -> None:
    """Who starts it again after it died gets a new one; after `stop` nothing runs."""
    local = Local(local_home)
    try:
        first = local.start()
        os.kill(_pid(local), signal.SIGKILL)
        assert local._child is not None
        local._child._process.wait()
        second = local.start()
        assert second != first
        assert _ask(second, _HELLO)[0] == 200
        pid = _pid(local)
    finally:
        local.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    local.stop()


_PARENT = """
    import os, signal, sys, time
    from pathlib import Path
    from bytedeck.io.local import Local
    local = Local(Path(sys.argv[1]))
    local.start()
    heir = 0
    if sys.argv[2] == "forked":
        heir = os.fork()
        if heir == 0:
            os.closerange(1, 3)
            time.sleep(60)
            os._exit(0)
    print(local._child._process.pid, heir, flush=True)
    if sys.argv[2] == "exits":
        sys.exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@_NEEDS_PROC
@pytest.mark.local_model
@pytest.mark.parametrize("how", ["exits", "killed", "forked"])
def test_it_dies_with_its_parent(local_home: Path, how: str) -> None:
    """It ends when its parent does: by itself, by kill -9, and with a fork that holds the pipe open."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(_PARENT), str(local_home), how]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    child, heir = map(int, done.stdout.split())
    try:
        # With nobody else at its pipe it need not wait for its look-out.
        assert _eventually(lambda: not _alive(child), 10.0 if how == "forked" else 1.5)
        assert done.stderr == b""
        assert done.returncode == (0 if how == "exits" else -signal.SIGKILL)
    finally:
        if heir:
            os.kill(heir, signal.SIGKILL)


@_NEEDS_PROC
@pytest.mark.local_model
def test_hanging_up_stops_the_generation(local: Local) -> None:
    """A closed connection ends the work within a second."""
    served = local.start()
    body = {**_HELLO, "max_tokens": 4000, "ignore_eos": True, "stream": True}
    connection = HTTPConnection(urlsplit(served.base_url).netloc, timeout=60)
    headers = {"authorization": f"Bearer {served.api_key}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    response.read(2000)
    response.close()
    connection.close()

    def cpu() -> int:
        user, system = Path(f"/proc/{_pid(local)}/stat").read_text().rpartition(")")[2].split()[11:13]
        return int(user) + int(system)

    def idle() -> bool:
        before = cpu()
        time.sleep(0.2)
        return cpu() - before <= 2

    assert _eventually(idle, 1.5)


_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
    },
}


@pytest.mark.local_model
@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"get_weather", "add"}),
        ({"type": "function", "function": {"name": "add"}}, {"add"}),
        ("auto", {"get_weather", "add", ""}),
    ],
)
def test_the_model_calls_tools(local: Local, choice: Any, names: set[str]) -> None:
    """Tools, which the server would drop, come back as whole calls of the wanted function."""
    body = {
        "messages": [{"role": "user", "content": "What is 3 plus 4?"}],
        "tools": [_WEATHER, _ADD],
        "tool_choice": choice,
        "temperature": 0,
        "max_tokens": 200,
    }
    shaped = shape(body)
    assert is_shaped(shaped)
    status, answer = _ask(local.start(), shaped)
    assert status == 200
    said = unshape(json.loads(answer)["choices"][0]["message"]["content"], "call_1")
    assert said is not None
    assert bool(said.tool_calls) != bool(said.text)
    for call in said.tool_calls:
        assert call.name in names
        assert set(json.loads(call.arguments)) == ({"a", "b"} if call.name == "add" else {"city"})


def test_without_llama_cpp_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing runtime is told by `status`, before anything is started."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status = Local(tmp_path).status()
    assert (status.installed, status.runtime, status.ready) == (False, False, False)
    assert "bytedeck[local]" in status.reason


def test_without_weights_it_says_how_to_get_them(tmp_path: Path) -> None:
    """Starting what is not installed is a typed error with the command that helps."""
    with pytest.raises(ModelUnavailable, match="not installed") as caught:
        Local(tmp_path).start()
    assert caught.value.code == "local_failed"
    assert caught.value.hint == ("Run: byte local install",)


def test_nothing_is_imported_by_looking(tmp_path: Path) -> None:
    """`status` stays cheap: it does not load llama.cpp."""
    code = (
        "import sys; from pathlib import Path; from bytedeck.io.local import Local;"
        f"Local(Path({str(tmp_path)!r})).status(); sys.exit('xllamacpp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_failure_is_one_of_ours() -> None:
    """What this piece raises can be caught as our own error and has a row in the table."""
    assert issubclass(ModelUnavailable, ByteError)
    assert ModelUnavailable("x", code="local_failed").http_status == 503
