"""The simulator asks nobody: no schema that a request brings makes it open a connection, whatever the schema refers to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

ASK = """
import json, sys
from bytedeck.simulator import Simulator
import urllib.request
cases = json.load(sys.stdin)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with Simulator() as sim:
    for path, body in cases:
        request = urllib.request.Request(sim.base_url + path, json.dumps(body).encode(), {"authorization": "Bearer " + sim.api_key})
        try:
            print(opener.open(request, timeout=20).status)
        except urllib.error.HTTPError as exc:
            print(exc.code)
"""


class Trap:
    """A listening socket that notes who connects."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.1)
        self.called = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        while not self.ended.is_set():
            try:
                line, _ = self.listener.accept()
            except TimeoutError:
                continue
            self.called += 1
            line.close()

    def end(self) -> None:
        self.ended.set()
        self.thread.join()
        self.listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/schema.json"


@pytest.fixture
def trap() -> Iterator[Trap]:
    found = Trap()
    yield found
    found.end()


def schemas(url: str) -> list[Any]:
    """Every way in which a schema can lead elsewhere, for the trap itself and for the outside through a proxy."""
    found: list[Any] = []
    for place in (
        url,
        "http://schemas.invalid/x.json",
        "https://json-schema.org/no-such-draft/schema",
        "file:///etc/hostname",
    ):
        inner: list[dict[str, Any]] = [
            {"$ref": place},
            {"$ref": f"{place}#/definitions/a"},
            {"$dynamicRef": place},
            {"$schema": place, "type": "string"},
            {"$id": place, "$ref": "other.json"},
            {"$id": place, "$schema": place, "properties": {"b": {"$ref": "#/properties/b"}}},
        ]
        for one in inner:
            found.append(one | ({"type": "object"} if "$ref" not in one else {}))
            found.append({"type": "object", "properties": {"a": one}, "required": ["a"]})
            found.append(
                {
                    "type": "object",
                    "$defs": {"a": one},
                    "properties": {"a": {"$ref": "#/$defs/a"}},
                    "required": ["a"],
                }
            )
    return found


def test_no_schema_is_fetched(trap: Trap) -> None:
    """In tools, response formats and their like, in each skin; the process's proxy is the trap too."""
    cases: list[Any] = []
    said = [{"role": "user", "content": "hi"}]
    for schema in schemas(trap.url):
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
        chat = {"model": "openai/gpt-4o-mini", "messages": said}
        cases.append(("/chat/completions", chat | {"tools": [tool], "tool_choice": "required"}))
        cases.append(("/chat/completions", chat | {"response_format": wanted}))
        asked = {"model": "openai/gpt-4o-mini", "input": "hi"}
        cases.append(
            (
                "/responses",
                asked | {"text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}},
            )
        )
        claude = {"model": "anthropic/claude-sonnet-4.5", "messages": said, "max_tokens": 400}
        cases.append(
            (
                "/messages",
                claude
                | {
                    "tools": [{"name": "f", "input_schema": schema | {"type": "object"}}],
                    "tool_choice": {"type": "any"},
                },
            )
        )
    proxy = trap.url.removesuffix("/schema.json")
    env = os.environ | dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), proxy
    )
    done = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps(cases), capture_output=True, text=True, env=env, timeout=100, check=False
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert trap.called == 0
    assert set(done.stdout.split()) <= {"200", "400"}
    assert len(done.stdout.split()) == len(cases)
    assert done.stdout.split().count("200") > len(cases) * 0.9


def test_the_trap_notes_who_calls(trap: Trap) -> None:
    """It could fail."""
    socket.create_connection(trap.listener.getsockname()).close()
    deadline = 200
    while not trap.called and deadline:
        trap.ended.wait(0.01)
        deadline -= 1
    assert trap.called == 1
