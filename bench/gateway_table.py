"""The gateway's figures as Markdown: medians, ratios to nginx and Portkey, and whether the targets are reached."""

from __future__ import annotations

import statistics
from typing import NamedTuple

from gateway_cases import CASES
from table import machine

__all__ = ["FIGURES", "Figure", "Sample", "machine", "render"]

OURS = ("bytedeck", "bytedeck-open")
PEERS = ("nginx", "portkey")
"""What ours is compared with."""
DIRECT = "direct"


class Sample(NamedTuple):
    """What one test of one round told."""

    case: str
    test: str
    round: int
    figures: dict[str, float]


class Figure(NamedTuple):
    """One line of the table."""

    test: str
    field: str
    label: str
    digits: int
    most: float | None = None
    """The first target of the design for ours with everything on, if there is one."""
    added: bool = False
    """What it is more than without a gateway."""


FIGURES = (
    Figure("one", "us", "µs CPU a request, one chunk upstream", 0, 300),
    Figure("sixty_four", "us", "µs CPU a request, 64 chunks in one burst upstream", 0, 900),
    Figure("burst", "us_chunk", "µs CPU a chunk, streams of 100 in one burst", 1, 12),
    Figure("paced", "us_chunk", "µs CPU a chunk, 5,000 a second in 100 streams", 1, 60),
    Figure("first", "first_ms", "ms added to the first byte, one at a time", 2, 2, added=True),
    Figure("start", "seconds", "s from its start to the first good answer", 2, 1),
    Figure("start", "cpu", "s CPU until then", 2),
    Figure("start", "idle_mb", "MB idle", 0, 70),
    Figure("held_1000", "kb", "KB a held stream, of 1,000", 1, 40),
    Figure("held_5000", "kb", "KB a held stream, of 5,000", 1, 40),
    Figure("one", "per_second", "requests a second, 32 at once", 0),
)


def render(samples: list[Sample], failures: dict[tuple[str, str], str]) -> str:
    """Two tables, and what is to be said about them."""
    names = [name for name in CASES if any(sample.case == name for sample in samples)]
    lines = _table(["", *(CASES[name].label for name in names)], [
        [figure.label, *(_cell(samples, name, figure) for name in names)] for figure in FIGURES
    ])  # fmt: skip
    lines += _compared(samples, names)
    lines += _judged(samples)
    lines += [f"- {CASES[name].label}, {what}: failed. {why}" for (name, what), why in failures.items()]
    return "\n".join([*lines, *_slow(names), *_harness(samples), f"- {machine()}"])


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    shown = [[cell or "–" for cell in row] for row in rows if any(row[1:])]
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *shown)] + [""]


def rounds(samples: list[Sample], name: str, figure: Figure) -> dict[int, float]:
    """Round → the figure; what it is more than without a gateway, where that is asked for."""
    found = {
        sample.round: sample.figures[figure.field]
        for sample in samples
        if (sample.case, sample.test) == (name, figure.test) and figure.field in sample.figures
    }
    if not figure.added:
        return found
    plain = rounds(samples, DIRECT, figure._replace(added=False))
    return {number: value - plain[number] for number, value in found.items() if number in plain}


def _cell(samples: list[Sample], name: str, figure: Figure) -> str:
    values = rounds(samples, name, figure).values()
    if not values or (figure.added and name == DIRECT):
        return ""
    return f"{statistics.median(values):,.{figure.digits}f}"


def ratio(samples: list[Sample], name: str, peer: str, figure: Figure) -> float | None:
    """The median of the rounds' ratios: what slows the machine down for a while slows both."""
    ours, theirs = rounds(samples, name, figure), rounds(samples, peer, figure)
    both = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return statistics.median(both) if both else None


def _compared(samples: list[Sample], names: list[str]) -> list[str]:
    pairs = [(name, peer) for name in OURS for peer in PEERS if {name, peer} <= set(names)]
    if not pairs:
        return []
    heads = [f"{CASES[name].label} ÷ {CASES[peer].label}" for name, peer in pairs]
    cells = [
        [figure.label, *(_ratio(ratio(samples, name, peer, figure)) for name, peer in pairs)]
        for figure in FIGURES
    ]
    return _table(["", *heads], cells)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _judged(samples: list[Sample]) -> list[str]:
    """How many first targets are reached, and by how much each other one is missed."""
    judged = [
        (figure, figure.most, statistics.median(values))
        for figure in FIGURES
        if figure.most is not None and (values := rounds(samples, OURS[0], figure).values())
    ]
    missed = [
        f"- missed: {figure.label}: {value:,.{figure.digits}f}, at most {most:g}"
        for figure, most, value in judged
        if value > most
    ]
    return (
        [f"- First targets reached: {len(judged) - len(missed)} of {len(judged)}.", *missed] if judged else []
    )


def _slow(names: list[str]) -> list[str]:
    return [
        f"- {CASES[name].label} cannot keep up with 5,000 chunks a second: it was given 1,000."
        for name in names
        if CASES[name].slow
    ]


def _harness(samples: list[Sample]) -> list[str]:
    """Whether it was the gateway that was measured, and how steady the machine was."""
    busy = [
        max(sample.figures["load_busy"], sample.figures["upstream_busy"])
        for sample in samples
        if sample.case in OURS and "busy" in sample.figures
    ]
    speeds = sorted(sample.figures["yardstick"] * 1000 for sample in samples if "yardstick" in sample.figures)
    if not busy:
        return []
    tenth = len(speeds) // 10
    return [
        f"- Beside ours the upstream and the load generator used at most {max(busy):.0%} of a core each.",
        f"- The same piece of work took this machine {speeds[tenth]:.0f} to {speeds[-1 - tenth]:.0f} ms of CPU "
        "(four tests in five): the wider apart, the less the figures can be compared between runs.",
    ]
