"""One worker: the process that `workers` starts. It serves until it is told to end, or its parent is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys

from ...async_client import AsyncHub
from ...errors import ByteError
from ..app import App
from .serve import new_loop, run
from .workers import Order, read


def work(order: Order) -> None:
    """Serve on the socket that was inherited. Raises ConfigError."""
    parent = os.getppid()

    def ready(url: str, hub: AsyncHub) -> None:
        with contextlib.suppress(OSError):  # the parent is gone: the lifeline tells it as well
            os.write(order.ready, bytes([order.settings.worker]))

    with socket.socket(fileno=order.listener) as listener, asyncio.Runner(loop_factory=new_loop) as runner:
        listener.setblocking(False)
        runner.run(run(App(AsyncHub(), order.settings), listener, ready, order.lifeline))
    if os.getppid() != parent and order.settings.numbers is not None:  # it can clean up no more
        shutil.rmtree(order.settings.numbers, ignore_errors=True)


if __name__ == "__main__":
    try:
        work(read(sys.argv[1]))
    except ByteError as error:
        sys.exit(error.message)
