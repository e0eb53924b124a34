"""The processes of the gateway's bench: the upstream, the load generator, and a gateway from its start to its end."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gateway_tree as tree
from gateway_cases import CHAT, KEY, Case, filled, program

from upstream import MODEL, WORDS

HERE = Path(__file__).parent
SYSTEM = "You are a careful assistant that answers in short plain sentences. " * 4
STARTING = 120.0
"""Seconds that a gateway has until its first good answer."""
ENDING = 15.0
"""Seconds that a process has to end, before it is killed."""
ENDED = '{"error": "the load generator ended"}'
"""What stands for the line of one that says nothing."""


class Failed(Exception):
    """A gateway could not be measured; the argument says why."""


def body(marker: dict[str, int], stream: bool) -> str:
    """A request of some 500 bytes; the marker tells the upstream what to answer."""
    told = " ".join(f"{name}={value}" for name, value in marker.items())
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"Explain in three sentences why the sky is blue. [[{told}]]"},
    ]
    asked: dict[str, Any] = {"model": MODEL, "messages": messages, "temperature": 0.7, "max_tokens": 512}
    return json.dumps(asked | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {}))


class Process:
    """A script of ours in a process of its own; says lines of JSON, and ends with its stdin."""

    def __init__(self, code: str, *told: str) -> None:
        # -I keeps the caller's settings out, and with them the script's own folder.
        code = f"import sys; sys.path.insert(0, {str(HERE)!r}); {code}"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", code, *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def end(self) -> str:
        """What it says when its stdin has ended."""
        try:
            return self._process.communicate(timeout=ENDING)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.communicate()[0]


@contextlib.contextmanager
def upstream() -> Iterator[tuple[int, int]]:
    """The fake upstream's port and process id, as long as the block lasts."""
    process = Process("import upstream, uvloop; uvloop.run(upstream.main())")
    try:
        yield int(process.line()), process.pid
    finally:
        process.end()


class Gateway:
    """One case, running. Raises Failed where it gives no good answer."""

    def __init__(self, name: str, case: Case, up: int, folder: Path) -> None:
        self.name = name
        self.port = _free_port() if case.command else up
        self._fill = functools.partial(filled, port=self.port, up=up, folder=folder)
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
        self._environment |= {key: self._fill(value) for key, value in case.environment.items()}
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in case.files.items():
            # nginx has variables of its own; none is used.
            (folder / file).write_text(self._fill(text))
        key = self._made(case.before) if case.before else KEY
        self.headers = [f"Authorization: Bearer {key}", *(self._fill(one) for one in case.headers)]
        self._log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self.start = 0.0
        if case.command:
            self._begin(case.command)

    @property
    def pid(self) -> int | None:
        """None where nothing stands between."""
        return self._process.pid if self._process else None

    @property
    def cpu(self) -> float:
        return tree.cpu(self._process.pid) if self._process else 0.0

    def memory(self) -> tree.Memory:
        assert self._process
        return tree.memory(self._process.pid)

    def close(self) -> None:
        """Let it end, or end it: its whole process group, which is its own."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def order(self, marker: dict[str, int], stream: bool, **more: Any) -> dict[str, Any]:
        """What gateway_load.Order holds."""
        order = {"port": self.port, "path": CHAT, "headers": self.headers, "words": marker["n"]}
        return order | {"body": body(marker, stream)} | more

    def _command(self, words: Iterable[str]) -> list[str]:
        first, *rest = (self._fill(word) for word in words)
        return [program(first) or first, *rest]

    def _made(self, command: tuple[str, ...]) -> str:
        run = subprocess.run(
            self._command(command), env=self._environment, capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise Failed((run.stderr.strip().splitlines() or ["no key was made"])[-1])
        return run.stdout.split()[-1]

    def _begin(self, command: tuple[str, ...]) -> None:
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._answered(began + STARTING)
        except BaseException:
            self.close()
            raise
        self.start = time.monotonic() - began

    def _answered(self, until: float) -> None:
        assert self._process
        last = "nothing"
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, said = self._ask_once()
                if status == 200 and WORDS[0].encode() in said:
                    return
                last = f"{status}: {said[:300].decode(errors='replace')}"
            if self._process.poll() is not None:
                raise Failed("it ended: " + " ".join(self._log.read_text().split()[-40:]))
            time.sleep(0.01)
        raise Failed(f"no good answer in {STARTING:.0f} s, but {last}")

    def _ask_once(self) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            headers = dict(one.split(": ", 1) for one in self.headers) | {"Content-Type": "application/json"}
            connection.request("POST", CHAT, body({"n": 1}, stream=False), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def load(order: dict[str, Any]) -> dict[str, float]:
    """Have it done in a process of its own. Raises Failed where an answer is wrong."""
    process = loading(order)
    try:
        told: dict[str, Any] = json.loads(process.line() or ENDED)
    finally:
        process.end()
    if "error" in told:
        raise Failed(told["error"])
    return told


def loading(order: dict[str, Any]) -> Process:
    """A load generator at work."""
    return Process("import gateway_load; gateway_load.main(sys.argv[1])", json.dumps(order))
