"""The numbers that several processes which serve one address tell each other, so that a scrape of any one sees all.

Each leaves a file of its own. What one has counted stays counted when it has ended; its gauges do not.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

Labels: TypeAlias = tuple[str, ...]

SILENT = 5.0
"""Seconds after which a process that has left nothing is not there any more."""
_ENDING = ".numbers"


class Numbers(Struct, kw_only=True):
    """Of one process, or of all together."""

    worker: int = 0
    counts: dict[str, list[tuple[Labels, int]]]
    gauges: dict[str, float]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Numbers).decode


def write(folder: Path, numbers: Numbers) -> None:
    """Leave them, in one step. What cannot be written is written the next time."""
    path = folder / f"{os.getpid()}{_ENDING}"
    with contextlib.suppress(OSError):
        path.with_suffix(".new").write_bytes(_encode(numbers))
        os.replace(path.with_suffix(".new"), path)


def merged(folder: Path, own: Numbers) -> Numbers:
    """One's own, and what the others have left."""
    counts = {name: dict(series) for name, series in own.counts.items()}
    gauges = dict(own.gauges)
    for other, is_there in _others(folder):
        for name, series in other.counts.items():
            into = counts.setdefault(name, {})
            for labels, value in series:
                into[labels] = into.get(labels, 0) + value
        for name, gauge in other.gauges.items() if is_there else ():
            gauges[name] = gauges.get(name, 0.0) + gauge
    return Numbers(counts={name: list(series.items()) for name, series in counts.items()}, gauges=gauges)


def _others(folder: Path) -> Iterator[tuple[Numbers, bool]]:
    now, own = time.time(), f"{os.getpid()}{_ENDING}"
    for path in sorted(folder.glob(f"*{_ENDING}")):
        if path.name == own:
            continue
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            yield _decode(path.read_bytes()), now - path.stat().st_mtime < SILENT
