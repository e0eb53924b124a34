"""Several processes behind one address: a parent that holds the socket and starts them, anew where one dies.

They share the listening socket, so that no connection waits for one that is dead; the ledger's file holds limits,
budgets and keys together. Each has a pipe to the parent: whatever ends the parent, they notice, and end as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CallerError
from ..settings import Settings
from ..watch.logs import Log

FIRST_REST, LONGEST_REST = 0.1, 30.0
"""Seconds before a worker that died is started anew; twice as many each time that it dies soon again."""
_NOT_STARTED = 71
"""The code of a worker that there never was; sysexits.h calls it EX_OSERR."""
_SOON = 10.0
"""Seconds after which a worker's death is no consequence of how it began."""
_LAST_WORDS = 15.0
"""Seconds beyond their grace after which workers that do not end are ended."""


class WorkersFailed(CallerError):
    """The workers cannot be started."""

    code = "bad_config"


class Order(Struct, frozen=True, kw_only=True):
    """What a worker is told on its command line. The numbers are of files that it inherits."""

    listener: int
    lifeline: int
    """It ends when the parent's end is closed."""
    ready: int
    """One byte, the worker's number, goes in once requests are welcome."""
    settings: Settings


def check_possible() -> None:
    """Raises WorkersFailed where there can be no workers."""
    if sys.platform == "win32":
        raise WorkersFailed(
            "Several workers need a socket that processes share, which Windows has not.",
            hint=("Leave --workers away, or use Linux, macOS or WSL.",),
        )


def supervise(
    listener: socket.socket, settings: Settings, count: int, announce: Callable[[], object]
) -> None:
    """Serve with so many workers until a signal. `announce` is called once the first one is ready.

    Raises WorkersFailed where they do not even start, or did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="bytedeck-", ignore_cleanup_errors=True) as folder:
        settings = replace(settings, numbers=Path(folder))
        asyncio.run(Supervisor(listener, settings, announce).run(count))


class Supervisor:
    """The parent."""

    def __init__(self, listener: socket.socket, settings: Settings, announce: Callable[[], object]) -> None:
        self._listener, self._settings, self._announce = listener, settings, announce
        self._log = Log(settings.log)
        self._alive: dict[int, asyncio.subprocess.Process] = {}
        self._ended = asyncio.Event()
        self._is_ready = False
        self._welcoming: set[int] = set()
        """Workers that take requests."""
        self._failures: list[int] = []
        self._lifeline = self._ready = (-1, -1)

    async def run(self, count: int) -> None:
        """Until all workers have ended."""
        loop = asyncio.get_running_loop()
        self._lifeline, self._ready = os.pipe(), os.pipe()
        loop.add_reader(self._ready[0], self._hear)
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self._end, one)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            workers = [loop.create_task(self._keep(number)) for number in range(count)]
            await self._ended.wait()
            await asyncio.wait(workers, timeout=self._settings.grace + _LAST_WORDS)
            self._tell(signal.SIGKILL)  # who does not end when he should
            await asyncio.gather(*workers)
        finally:
            loop.remove_reader(self._ready[0])
            for end in (*self._lifeline, *self._ready):
                os.close(end)
            self._log.close()
        if self._failures:
            raise WorkersFailed(f"A worker has ended with {self._failures[0]}; what it said stands above.")

    async def _keep(self, number: int) -> None:
        """Have one worker run, for ever or until the end."""
        rest = FIRST_REST
        while not self._ended.is_set():
            began = time.monotonic()
            code = await self._work(number)
            rest = FIRST_REST if time.monotonic() - began > _SOON else min(2 * rest, LONGEST_REST)
            if not self._ended.is_set() and not self._is_ready:  # not one has ever begun: nor will another
                self._end(signal.SIGTERM)
            if self._ended.is_set():
                if code not in (
                    0,
                    -signal.SIGTERM,
                    -signal.SIGINT,
                ):  # those came when it had ended but for its exit
                    self._failures.append(code)
                return
            self._log.say("error", f"Worker {number} {_ended(code)}, and is started anew in {rest:g} s.")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._ended.wait()

    async def _work(self, number: int) -> int:
        """One worker, from its start to its end; the code with which it ended."""
        order = Order(
            listener=self._listener.fileno(),
            lifeline=self._lifeline[0],
            ready=self._ready[1],
            settings=replace(self._settings, worker=number),
        )
        files = (order.listener, order.lifeline, order.ready)
        line = (sys.executable, "-P", "-m", f"{__package__}.worker", written(order))
        try:
            # A group of its own: Ctrl-C at a terminal goes to the parent alone, which passes it on.
            process = await asyncio.create_subprocess_exec(*line, pass_fds=files, process_group=0)
        except OSError as exc:  # no memory, no more processes: that may pass
            self._log.say("error", f"Worker {number} cannot be started: {exc.strerror}.")
            return _NOT_STARTED
        self._alive[number] = process
        if self._ended.is_set():  # asked to end meanwhile
            process.terminate()
        try:
            return await process.wait()
        finally:
            del self._alive[number]
            self._welcoming.discard(number)

    def _hear(self) -> None:
        """A worker is ready; it says which."""
        self._welcoming.update(os.read(self._ready[0], 1))
        if not self._is_ready:
            self._is_ready = True
            self._announce()

    def _end(self, number: int) -> None:
        self._ended.set()
        self._tell(number)

    def _reload(self) -> None:
        """Who is still beginning would die of it, and reads the configuration anyway."""
        for number in self._welcoming & self._alive.keys():
            with contextlib.suppress(ProcessLookupError):
                self._alive[number].send_signal(signal.SIGHUP)

    def _tell(self, number: int) -> None:
        """A signal to all of them."""
        for process in self._alive.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


def written(order: Order) -> str:
    """An order as an argument."""
    return msgspec.json.encode(order, enc_hook=str).decode()


def read(text: str) -> Order:
    """An argument as an order."""

    def path(kind: type, value: Any) -> Any:
        return Path(value) if kind is Path else value

    return msgspec.json.decode(text, type=Order, dec_hook=path)


def _ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"has ended with {code}"
