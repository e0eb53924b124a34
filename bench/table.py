"""The figures as one table, with ratios to openai-python, and whether the targets are reached."""

from __future__ import annotations

import os
import platform
import statistics
from typing import NamedTuple

from clients import CLIENTS

Samples = dict[str, dict[str, list[float]]]
"""client → figure → one value a round."""

CPU_TESTS = ("burst", "paced", "many", "call", "calls")
ALSO_SYNC = ("burst", "paced", "call")
"""Those that a blocking client can take part in."""
MANY_CONNECTIONS = ("many", "calls")

BASE = {False: "openai", True: "openai-sync"}
"""What a client is compared with, by whether it is blocking."""


class Column(NamedTuple):
    figure: str
    head: tuple[str, str]
    digits: int


COLUMNS = (
    Column("burst", ("bursts of 100", "µs/chunk"), 1),
    Column("paced", ("one a wake-up", "µs/chunk"), 0),
    Column("many", ("50 streams", "µs/chunk"), 0),
    Column("call", ("call", "µs"), 0),
    Column("calls", ("call of 32", "µs"), 0),
    Column("stream_kb", ("open stream", "KB"), 1),
    Column("import", ("import", "s CPU"), 3),
    Column("start", ("first request", "s"), 3),
    Column("start_cpu", ("first request", "s CPU"), 3),
    Column("trips", ("round trips", "a call"), 1),
)


class Target(NamedTuple):
    """At most so much: a ratio to openai-python in the same run, or a figure as it is."""

    client: str
    figure: str
    most: float
    ratio: bool


def _targets(client: str, ratios: dict[str, float], plain: dict[str, float]) -> list[Target]:
    rows = [Target(client, figure, most, True) for figure, most in ratios.items()]
    return rows + [Target(client, figure, most, False) for figure, most in plain.items()]


FIRST_TARGETS = (
    *_targets(
        "bytedeck",
        {"burst": 0.10, "paced": 0.45, "many": 0.30, "call": 0.20},
        {"stream_kb": 40, "import": 0.12, "start": 0.3},
    ),
    *_targets("bytedeck-sync", {"burst": 0.20, "paced": 0.65, "call": 0.45}, {"start": 0.3}),
)


def render(samples: Samples, failures: dict[str, str]) -> str:
    lines = [
        _line(["", *(column.head[0] for column in COLUMNS)]),
        _line(["", *(column.head[1] for column in COLUMNS)]),
    ]
    for blocking in (False, True):
        lines.append("")
        lines += [
            _line([row.label, *(_cell(samples, name, column) for column in COLUMNS)])
            for name, row in CLIENTS.items()
            if row.sync is blocking and name in samples
        ]
    lines += ["", "In brackets: the ratio to openai-python (async, sync) in this run."]
    lines += _judged(samples)
    lines += [f"{CLIENTS[name].label} could not be measured. {why}" for name, why in failures.items()]
    return "\n".join([*lines, _steadiness(samples)])


def _line(cells: list[str]) -> str:
    return f"{cells[0]:<26}" + "".join(f"{cell:>16}" for cell in cells[1:])


def _cell(samples: Samples, name: str, column: Column) -> str:
    values = samples[name].get(column.figure)
    if not values:
        return "–"
    ratio = _ratio(samples, name, column.figure)
    return f"{statistics.median(values):.{column.digits}f}" + (f" ({ratio:.3f})" if ratio is not None else "")


def _ratio(samples: Samples, name: str, figure: str) -> float | None:
    """The median of the rounds' ratios: what slows the machine down for a while slows both.

    None for openai-python itself, and where it was not measured.
    """
    base = BASE[CLIENTS[name].sync]
    theirs = samples.get(base, {}).get(figure)
    ours = samples.get(name, {}).get(figure)
    if name == base or not theirs or not ours:
        return None
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=False))


def _judged(samples: Samples) -> list[str]:
    """How many first targets are reached, and by how much each other one is missed."""
    reached = [(target, _reached(samples, target)) for target in FIRST_TARGETS]
    judged = [(target, value) for target, value in reached if value is not None]
    if not judged:
        return []
    missed = [
        f"  missed: {CLIENTS[target.client].label}, {target.figure}: {value:.3f}, at most {target.most}"
        + (" of openai-python" if target.ratio else "")
        for target, value in judged
        if value > target.most
    ]
    return [f"First targets reached: {len(judged) - len(missed)} of {len(judged)}.", *missed]


def _reached(samples: Samples, target: Target) -> float | None:
    if target.ratio:
        return _ratio(samples, target.client, target.figure)
    values = samples.get(target.client, {}).get(target.figure)
    return statistics.median(values) if values else None


def _steadiness(samples: Samples) -> str:
    speeds = sorted(value * 1000 for figures in samples.values() for value in figures.get("yardstick", ()))
    if not speeds:
        return ""
    tenth = len(speeds) // 10
    return (
        f"The same piece of work took this machine {speeds[tenth]:.0f} to {speeds[-1 - tenth]:.0f} ms of CPU "
        "(four tests in five): the wider apart, the less the figures can be compared between runs."
    )


def machine() -> str:
    """What it ran on."""
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, CPython {platform.python_version()}"
