"""The embedded model: SmolLM2-135M-Instruct through llama.cpp, in a child process of its own.

The child gets a key that nobody else has, over its stdin; its environment holds none of ours.
It starts with the first question and ends with this process, even with kill -9.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import select
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NoReturn

import msgspec
from msgspec import Struct

from ..errors import ModelUnavailable
from .local_weights import SMOLLM2, Weights, Wheel

MODEL_ID = "local/smollm2-135m"
MODEL_NAME = "SmolLM2 135M (local)"
DOWNLOAD_MEGABYTES = SMOLLM2.megabytes

_SERVER = Path(__file__).with_name("local_server.py")
_START_SECONDS = 60.0
_STOP_SECONDS = 2.0

# All that the child may see of our environment. A list of what it needs cannot forget a key.
_CHILD_SEES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")


class LocalStatus(Struct, frozen=True, kw_only=True):
    """What there is of the local model."""

    installed: bool
    """The weights are there and are the right ones."""
    runtime: bool
    """llama.cpp (the package xllamacpp) can be imported."""
    weights: Path
    """Where they are, or would be."""
    size: int
    """Bytes on disk; 0 where there are none."""
    reason: str
    """One sentence: why it can answer, or why not."""

    @property
    def ready(self) -> bool:
        """Whether it can answer."""
        return self.installed and self.runtime


class Served(Struct, frozen=True):
    """Where the running model answers. It takes OpenAI's chat requests at `base_url + "/chat/completions"`."""

    base_url: str
    api_key: str

    def __repr__(self) -> str:
        return f"Served({self.base_url!r})"


class Local:
    """The local model of one home folder. Any thread may use it."""

    def __init__(self, home: Path, wheel: Wheel = SMOLLM2) -> None:
        self._weights = Weights(home, wheel)
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def status(self) -> LocalStatus:
        """Look; starts and imports nothing, and never raises."""
        trouble = self._weights.trouble()
        runtime = _runtime() is not None
        reason = trouble or "It is installed."
        if not runtime:
            reason += " llama.cpp is missing; install the extra: bytedeck[local]."
        try:
            size = self._weights.path.stat().st_size
        except OSError:
            size = 0
        return LocalStatus(
            installed=not trouble, runtime=runtime, weights=self._weights.path, size=size, reason=reason
        )

    def install(self, say: Callable[[str], None]) -> None:
        """Fetch the weights (93 MB) if they are not there; `say` gets a line at each step. Blocks.

        Asks nothing: that is the caller's. Raises ModelUnavailable (`local_failed`) for a wrong hash, no
        network, no space, no installer; nothing is half-installed then.
        """
        self._weights.install(say)

    def remove(self) -> bool:
        """Stop the model and delete its weights. Returns whether there were any. Raises ModelUnavailable."""
        self.stop()
        return self._weights.remove()

    def start(self) -> Served:
        """Where the model answers; starts it if it does not run (0.5 s). Blocks until it answers.

        Raises ModelUnavailable (`local_failed`) with the end of llama.cpp's log as the detail.
        """
        with self._lock:
            if self._child is None or not self._child.alive():
                self._drop()
                self._child = self._start()
            return self._child.served

    def stop(self) -> None:
        """End the child, if there is one. Idempotent."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> _Child:
        if trouble := self._weights.trouble():
            raise _failure(f"The local model cannot be started. {trouble}", "Run: byte local install")
        runtime = _runtime()
        if runtime is None:
            raise _failure(
                "The local model cannot be started: llama.cpp is missing.",
                f'Run: {sys.executable} -m pip install "bytedeck[local]"',
            )
        try:
            child = _Child(self._weights.path, runtime)
        except OSError as exc:
            raise _failure(f"The local model could not be started: {exc.strerror or exc}.") from exc
        # A Local that is forgotten, or lives until the interpreter ends, takes its child along.
        weakref.finalize(self, child.end)
        return child


class _Child:
    """One running server process."""

    def __init__(self, weights: Path, runtime: Path) -> None:
        key = secrets.token_urlsafe(24)
        told = {"key": key, "weights": str(weights), "alias": MODEL_ID, "runtime": str(runtime)}
        # Undone whatever happens, Ctrl-C too: no child without someone who knows it.
        with contextlib.ExitStack() as undo:
            # A file without a name: nothing to clean up, nothing for others to read.
            self._log = undo.enter_context(tempfile.TemporaryFile())
            self._process = _spawn(self._log)
            undo.callback(self.end)
            self._tell(told)
            self.served = Served(f"{self._listen()}/v1", key)
            undo.pop_all()

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Close its stdin, which it takes as the sign to end; kill it where it does not. Idempotent."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _tell(self, told: Mapping[str, str]) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise AssertionError("the child was opened with a pipe")
        with contextlib.suppress(BrokenPipeError):  # it has died; `_listen` says why
            stdin.write(msgspec.json.encode(told) + b"\n")
            stdin.flush()

    def _listen(self) -> str:
        """The address that the child reports. Raises ModelUnavailable."""
        stdout = self._process.stdout
        if stdout is None:
            raise AssertionError("the child was opened with a pipe")
        if not select.select([stdout], [], [], _START_SECONDS)[0]:
            self._give_up("it said nothing for a minute.")
        line = stdout.readline()
        try:
            return msgspec.json.decode(line, type=dict[str, str])["url"]
        except (msgspec.MsgspecError, KeyError):
            self._give_up("its process ended." if not line else "its process answered something else.")

    def _give_up(self, why: str) -> NoReturn:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 2000))
        words = self._log.read().decode("utf-8", "replace").strip()
        raise _failure(f"The local model could not be started: {why}", detail=words)


def _spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """The child, isolated: by file, so that nothing of ours or of the caller's folder is imported."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", str(_SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=_child_environment(os.environ),
        start_new_session=True,  # keeps the terminal's Ctrl-C away from it
    )


def _child_environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: env[name] for name in _CHILD_SEES if name in env}


def _runtime() -> Path | None:
    """The folder in which the package xllamacpp lies; None where there is none. Imports nothing."""
    spec = importlib.util.find_spec("xllamacpp")
    return Path(spec.origin).parent.parent if spec and spec.origin else None


def _failure(sentence: str, *hint: str, detail: str = "") -> ModelUnavailable:
    return ModelUnavailable(sentence, code="local_failed", detail=detail, hint=hint)
