"""The child process in which the local model runs. It imports nothing of ours.

One line of JSON comes in on stdin: {"key", "weights", "alias", "runtime"}; one goes out on
stdout: {"url"}. llama.cpp's own words go to stderr. The child ends when its parent does,
however that ends: stdin closes, or the parent's process id changes.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
import threading
from typing import Any

_CONTEXT = 8192  # all that the model was trained for
_SLOTS = (
    2  # a second question need not wait for the first answer's end; on one thread more slots gain nothing
)
_LOOK_AFTER_PARENT = 2.0  # seconds


def main() -> None:
    parent = os.getppid()
    told = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    # The interpreter runs isolated, so the one package it needs may be out of its sight. Behind the
    # standard library, so that nothing in that folder can stand in for it.
    sys.path.append(told["runtime"])
    server = _serve(told)
    print(json.dumps({"url": server.listening_address}), flush=True)  # noqa: T201 - this is the protocol
    threading.Event().wait()


def _serve(told: dict[str, str]) -> Any:
    """The running server; it listens and has its model when this returns."""
    xllamacpp = importlib.import_module("xllamacpp")  # untyped, and not always installed
    params = xllamacpp.CommonParams()
    params.model.path = told["weights"]
    params.model_alias = {told["alias"]}  # or answers would name the file
    params.api_keys = [told["key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.endpoint_slots = False  # shows other requests' prompts
    params.verbosity = 1  # errors
    # More threads are slower as soon as anything else runs: 82 tokens a second fall to 6.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.n_ctx = _CONTEXT
    params.n_parallel = _SLOTS
    params.kv_unified = True  # each slot may fill the whole context
    params.cache_ram_mib = 0  # its default keeps up to 8 GB of earlier prompts
    params.cache_idle_slots = False
    params.fit_params = params.warmup = False  # 0.3 s of the start
    return xllamacpp.Server(params)


def _end_with_parent(parent: int) -> None:
    # A fork of the parent may hold our stdin open, so its end alone is not enough.
    while os.getppid() == parent:
        if select.select([0], [], [], _LOOK_AFTER_PARENT)[0] and not os.read(0, 4096):
            break
    os._exit(0)  # at once, whatever llama.cpp is in the middle of


if __name__ == "__main__":
    main()
