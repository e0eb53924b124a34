"""What the gateway counts, and how Prometheus reads it (text format 0.0.4).

Labels are bounded: a model stands under its own name once it has answered, or where the catalogue knows it; every other one,
and whatever goes beyond the bounds, is `other`. Money is counted in whole units, and told in USD.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ...money import to_text
from . import numbers
from .numbers import Labels, Numbers
from .record import Record

if TYPE_CHECKING:
    from ...async_client import AsyncHub
    from ...house import House
    from ..door.access import Access
    from ..reload import Reloader

MOST_MODELS = 500
MOST_SERIES = 5000
"""Of one family: what would go beyond is counted with every label `other`."""
OTHER = "other"
_UNIT_DIGITS = 1_000_000
"""Sums of seconds are kept in microseconds, and of tokens a second in millionths."""

_FIRST = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SPEED = (5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0, 400.0, 1000.0)


class Family(Struct, frozen=True):
    """One metric: what it is, in a sentence, and its labels."""

    help: str
    labels: tuple[str, ...] = ()
    is_money: bool = False
    bounds: tuple[float, ...] = ()
    """Of a histogram; empty: it is a counter."""


COUNTERS: dict[str, Family] = {
    "byte_requests_total": Family(
        "Requests that have ended.", ("protocol", "task", "model", "outcome", "status")
    ),
    "byte_tokens_total": Family("Tokens of answers that were told.", ("direction", "model")),
    "byte_cost_usd_total": Family(
        "What attempts cost, as far as it was known when the request ended; the ledger knows more.",
        ("model", "key"),
        is_money=True,
    ),
    "byte_fallbacks_total": Family("Times that another model was asked than the one before."),
    "byte_seams_total": Family("Places where an answer was gone on with by another attempt."),
    "byte_cache_total": Family("Requests to which the response cache applies.", ("result",)),
    "byte_time_to_first_token_seconds": Family(
        "From a request's head to the first words of its answer.", bounds=_FIRST
    ),
    "byte_tokens_per_second": Family(
        "Speed of an answering attempt, from its first token on.", bounds=_SPEED
    ),
}


class Watched(Protocol):
    """What is asked of the application when the numbers are told."""

    hub: AsyncHub
    access: Access
    reloader: Reloader
    metrics: Metrics
    gauges: dict[str, Callable[[], float]]
    """Name → how much there is now."""

    @property
    def running(self) -> Sized:
        """Requests that are being answered."""


class Metrics:
    """The counts of one process. Belongs to one thread, but for `share`."""

    def __init__(self, folder: Path | None = None, worker: int = 0) -> None:
        """`folder`: where several processes that serve one address leave their numbers for each other."""
        self._folder = folder
        self._worker = worker
        self._counts: dict[str, dict[Labels, int]] = {name: {} for name in COUNTERS}
        self._models: set[str] = {""}
        self.started = time.time()

    def count(self, record: Record, house: House) -> None:
        """A request has ended."""
        model = record.model if record.model in self._models else self._model(record, house)
        self._add(
            "byte_requests_total",
            (record.protocol, record.task, model, record.outcome, str(record.status)),
        )
        if record.prompt_tokens or record.completion_tokens:
            self._add("byte_tokens_total", ("prompt", model), record.prompt_tokens)
            self._add("byte_tokens_total", ("completion", model), record.completion_tokens)
        for one in record.attempts:
            if one.cost_units:
                asked = one.model if one.model in self._models else OTHER
                self._add("byte_cost_usd_total", (asked, record.key), one.cost_units)
        if len(record.attempts) > 1:
            self._add("byte_fallbacks_total", (), record.fallbacks)
        if record.seams:
            self._add("byte_seams_total", (), record.seams)
        if record.first is not None:
            self._observe("byte_time_to_first_token_seconds", _FIRST, record.first)
        if record.tokens_per_second is not None:
            self._observe("byte_tokens_per_second", _SPEED, record.tokens_per_second)

    def count_cache(self, result: str) -> None:
        """The response cache had an answer (`hit`), had none (`miss`), or gave another one's (`coalesced`)."""
        self._add("byte_cache_total", (result,))

    def _add(self, family: str, labels: Labels, amount: int = 1) -> None:
        series = self._counts[family]
        if labels not in series and len(series) >= MOST_SERIES:
            labels = (OTHER,) * len(labels)
        series[labels] = series.get(labels, 0) + amount

    def _observe(self, family: str, bounds: tuple[float, ...], value: float) -> None:
        """A bucket's label is its place, `sum` in millionths beside them."""
        series = self._counts[family]
        place = (str(bisect_left(bounds, value)),)
        series[place] = series.get(place, 0) + 1
        series[_SUM] = series.get(_SUM, 0) + round(value * _UNIT_DIGITS)

    def _model(self, record: Record, house: House) -> str:
        """The label of the model that answered, of which nothing is known yet; those of its attempts are learnt."""
        catalog = None if house.scripted else house.models.current()
        for one in record.attempts:
            is_known = one.outcome == "answered" or (
                catalog is not None and catalog.find(one.model) is not None
            )
            if is_known and len(self._models) < MOST_MODELS:
                self._models.add(one.model)
        return record.model if record.model in self._models else OTHER

    # -- what is told ----------------------------------------------------------------------------

    def share(self, app: Watched) -> None:
        """Leave the numbers where the other processes find them. May run in another thread."""
        if self._folder is not None:
            numbers.write(self._folder, self._numbers(app))

    def text(self, app: Watched) -> bytes:
        """Everything, as Prometheus reads it: this process's numbers and those that others have left. Blocks."""
        own = self._numbers(app)
        all_ = own if self._folder is None else numbers.merged(self._folder, own)
        lines = [*_counters(all_), *_gauges(all_, app), *_breakers(app), ""]
        return "\n".join(lines).encode()

    def _numbers(self, app: Watched) -> Numbers:
        store = app.hub.house.__dict__.get("store")
        gauges = {"byte_requests_in_flight": float(len(app.running))}
        gauges |= {name: float(ask()) for name, ask in app.gauges.items()}
        gauges["byte_ledger_owed_rows"] = float(store.owed.rows) if store is not None else 0.0
        gauges["byte_ledger_lost_rows"] = float(len(store.lost)) if store is not None else 0.0
        counts = {name: list(series.copy().items()) for name, series in self._counts.items()}
        return Numbers(worker=self._worker, counts=counts, gauges=gauges)


_SUM: Labels = ("sum",)

# Gauges that are told of every process together, but for those that a hook of the application brings.
_MEANING = {
    "byte_requests_in_flight": "Requests to a model that have not ended.",
    "byte_requests_running": "Of these: those whose turn it is.",
    "byte_requests_waiting": "Of these: those that wait for their turn.",
    "byte_body_bytes": "Bytes of the bodies of requests that are being read or answered.",
    "byte_matches_held": "Matches of the arena that are held.",
    "byte_match_watchers": "Those who watch a match that is not over.",
    "byte_ledger_owed_rows": "Rows of the ledger that could not be written yet, and are tried again.",
    "byte_ledger_lost_rows": "Rows of the ledger that are missing for good.",
}


def _counters(all_: Numbers) -> Iterator[str]:
    for name, family in COUNTERS.items():
        series = dict(all_.counts.get(name, ()))
        if family.bounds:
            yield from _histogram(name, family, series)
            continue
        yield from _head(name, family.help, "counter")
        for labels, value in sorted(series.items()):
            yield _line(
                name,
                dict(zip(family.labels, labels, strict=True)),
                to_text(value) if family.is_money else str(value),
            )
        if not family.labels and not series:
            yield _line(name, {}, "0")


def _histogram(name: str, family: Family, series: Mapping[Labels, int]) -> Iterator[str]:
    yield from _head(name, family.help, "histogram")
    total = 0
    for place, bound in enumerate((*family.bounds, float("inf"))):
        total += series.get((str(place),), 0)
        yield _line(f"{name}_bucket", {"le": "+Inf" if bound == float("inf") else f"{bound:g}"}, str(total))
    yield _line(f"{name}_sum", {}, f"{series.get(_SUM, 0) / _UNIT_DIGITS:.6f}")
    yield _line(f"{name}_count", {}, str(total))


def _gauges(all_: Numbers, app: Watched) -> Iterator[str]:
    for name, value in all_.gauges.items():
        yield from _head(name, _MEANING.get(name, "Told by the gateway."), "gauge")
        yield _line(name, {}, f"{value:g}")
    reloader = app.reloader
    yield from _head("byte_config_version", "How often a configuration was taken, from 1.", "gauge")
    yield _line("byte_config_version", {}, str(reloader.version))
    yield from _head(
        "byte_config_broken", "1: the file on disk was refused, and the one before holds.", "gauge"
    )
    yield _line("byte_config_broken", {}, str(int(bool(reloader.problem))))
    yield from _head(
        "byte_keys_unreadable", "1: the virtual keys could not be read at the last look.", "gauge"
    )
    yield _line("byte_keys_unreadable", {}, str(int(app.access.trouble is not None)))
    yield from _head("byte_start_time_seconds", "When this process began, in seconds since 1970.", "gauge")
    yield _line("byte_start_time_seconds", {}, f"{app.metrics.started:.3f}")
    yield from _head("byte_build_info", "Always 1; the version is in the label.", "gauge")
    yield _line("byte_build_info", {"version": version()}, "1")


_STATES = {"closed": 0, "half_open": 1, "open": 2}


def _breakers(app: Watched) -> Iterator[str]:
    yield from _head(
        "byte_breaker_state", "Of models and upstream keys: 0 closed, 1 half open, 2 open.", "gauge"
    )
    health = app.hub.health()
    found = [("model", health.models), ("key", health.keys)]
    for kind, standings in found:
        for name, standing in sorted(standings.items())[:MOST_SERIES]:
            yield _line("byte_breaker_state", {"subject": f"{kind}:{name}"}, str(_STATES[standing.state]))


def version() -> str:
    """Of the package; it is looked up once in a while, so that nothing is imported for it at the start."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("bytedeck")
    except PackageNotFoundError:
        return "unknown"


def _head(name: str, words: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: str) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
