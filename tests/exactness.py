"""Plays the shapes of bench/charges.py: the answer, our books and the simulator's, side by side."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from bytedeck import ByteError, Reply
from bytedeck.ledger.entry import Row
from bytedeck.simulator import Simulator
from faces import Face
from simclient import settled

sys.path.append(str(Path(__file__).parents[1] / "bench"))  # last, for it has an `upstream` of its own

from charges import PROMPT, ROWS, Shape, table
from truth import when

__all__ = [
    "COUNTS",
    "PROMPT",
    "ROWS",
    "WAYS",
    "Books",
    "Shape",
    "differences",
    "expected",
    "looked_up",
    "opened",
    "play",
    "prepare",
    "table",
    "true_spend",
    "units",
    "when",
]

WAYS = ("sync stream", "sync chat", "async stream", "async chat")
COUNTS = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")
_NOT_LATER = ("cache_write_tokens", "web_searches")
"""Counts that `GET /generation` does not tell."""

Charge = Mapping[str, Any]
"""A line of the simulator's own ledger."""


class Expected(NamedTuple):
    """What a shape comes to, asked in one way: of each attempt in order, and the sum."""

    attempts: list[str]
    known: list[str]
    spend: int


class Books(NamedTuple):
    """What everyone says of one request, and of all that were made."""

    reply: Reply
    """The answer, or what an error had of it."""
    error: str
    rows: list[Row]
    """Our ledger right after the answer, in the order of the attempts."""
    final: list[Row]
    """The same once the upstream was asked for what was not known."""
    all_rows: list[Row]
    """Our final rows of all requests."""
    charges: dict[str, Charge]
    """The simulator's, by generation."""
    problems: tuple[str, ...]
    """What `verify` finds."""
    reported: int
    """What `usage` reports of all requests, in units."""


def units(usd: str | Decimal) -> int:
    """USD in units of 10⁻¹², half-even; reckoned here, and not by what is tested."""
    return int((Decimal(usd) * 10**12).to_integral_value(ROUND_HALF_EVEN))


def true_spend(charge: Charge) -> int:
    """What a generation really cost, in units: the charge, and with a key of one's own the provider's bill as well."""
    return units(charge["cost"]) + (units(charge["upstream"]) if charge["is_byok"] else 0)


def expected(shape: Shape, way: str) -> Expected:
    """What has to come out. Not streaming may make other attempts."""
    if way.endswith("chat") and shape.call_attempts:
        spend = shape.call or shape.spend
        return Expected(shape.call_attempts.split(), shape.call_known.split(), units(spend))
    return Expected(shape.attempts.split(), shape.known.split(), units(shape.spend))


def differences(row: Row, charge: Charge) -> list[str]:
    """Where a row of known cost does not say what was charged; [] where it says all of it, to the unit."""
    counts = COUNTS if row.reconciled_at else (*COUNTS, *_NOT_LATER)
    ours = {name: getattr(row, name) for name in counts}
    theirs = {name: charge[name] for name in counts}
    ours |= {"cost": row.cost_units, "is_byok": row.is_byok, "spend": row.spend_units}
    theirs |= {"cost": units(charge["cost"]), "is_byok": charge["is_byok"], "spend": true_spend(charge)}
    if row.is_byok:
        ours["upstream"], theirs["upstream"] = row.upstream_units, units(charge["upstream"])
    return [f"{name}: {ours[name]}, charged {theirs[name]}" for name in ours if ours[name] != theirs[name]]


def opened(sim: Simulator, kind: str, home: Path, key: str) -> Face:
    """A face to the simulator with a ledger in a file, which knows all prices."""
    face = Face(kind, sim.base_url, api_key=key, home=home, database_url=f"sqlite:///{home}/ledger.db")

    async def fetch() -> None:
        await face.hub.house.models.afetch(face.hub.wire)

    if face.loop is None:
        face.hub.house.models.fetch(face.hub.wire)
    else:
        face.run(fetch())
    return face


def prepare(sim: Simulator, shape: Shape) -> None:
    """A world as new, in which it happens."""
    sim.reset()
    first = shape.chain[0] if shape.chain else "*"
    sim.script([{"fault": one, "model": first, "skin": "chat"} for one in shape.fault.split(",") if one])


def looked_up(face: Face) -> None:
    """The upstream was asked for what was not known."""
    assert _done(face, face.hub.reconcile(wait=0)).stopped is None


def play(sim: Simulator, shape: Shape, way: str, home: Path) -> Books:
    """One shape, asked in one way."""
    kind, form = way.split()
    prepare(sim, shape)
    face = opened(sim, kind, home, shape.key)
    try:
        for _ in range(shape.before + 1):
            reply, error = _asked(face, form, shape)
        settled(sim)
        rows = _of(reply, face.rows())
        looked_up(face)
        return Books(
            reply=reply,
            error=error,
            rows=rows,
            final=_of(reply, face.rows()),
            all_rows=face.rows(),
            charges={str(charge["id"]): charge for charge in sim.ledger()},
            problems=face.verify().problems,
            reported=_done(face, face.hub.usage()).total.cost_units,
        )
    finally:
        face.close()


def _asked(face: Face, form: str, shape: Shape) -> tuple[Reply, str]:
    ask = {"model": list(shape.chain) or "", **shape.options}
    try:
        reply = face.stream(shape.prompt, **ask)[1] if form == "stream" else face.chat(shape.prompt, **ask)
    except ByteError as error:
        assert error.reply is not None
        return error.reply, error.code
    return reply, ""


def _of(reply: Reply, rows: Sequence[Row]) -> list[Row]:
    return sorted((row for row in rows if row.request == reply.id), key=lambda row: row.number)


def _done(face: Face, found: Any) -> Any:
    return face.run(found) if isinstance(found, Awaitable) else found
