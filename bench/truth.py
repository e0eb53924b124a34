"""What should have come, and what should stand in the books: the simulator's word, against which a client is held."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from bytedeck.simulator.settings import Settings
from bytedeck.simulator.shapes import Call
from bytedeck.simulator.words.answer import full_text
from bytedeck.simulator.world import World

MODEL = "openai/gpt-4o-mini"
UNHEARD = ("connect_failed", "connection_lost", "headers_timeout", "abandoned", "lost_race", "total_timeout")


@cache
def _model() -> Any:
    return World(Settings()).catalogue.find(MODEL)


def canonical(prompt: str, seed: str, **fields: Any) -> str:
    """The whole text that answers a prompt, whoever is asked: in the simulator it does not follow from the model."""
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]} | fields
    call = Call(
        skin="chat",
        body=body,
        raw=json.dumps(body).encode(),
        models=(MODEL,),
        stream=True,
        messages=tuple(body["messages"]),
        response_format=fields.get("response_format"),
    )
    return full_text(call, _model(), seed)


def unbalanced(
    rows: Iterable[Any], journal: Iterable[Mapping[str, Any]], charged: Iterable[Mapping[str, Any]]
) -> list[str]:
    """What does not agree between our rows, what the simulator was asked and what it charged; [] where all does.

    `rows`: the ledger's. `journal`: requests for answers only. `charged`: `/sim/ledger`.
    """
    rows, told = list(rows), []
    open_rows = [row.attempt for row in rows if row.state == "open"]
    if open_rows:
        told.append(f"{len(open_rows)} attempts without a settlement: {open_rows[:3]}")
    faults = {str(entry["generation"]): entry["faults"] for entry in journal}
    # Who heard nothing may have left before it was heard itself, or before it was told its generation's name.
    unheard = sum(row.outcome in UNHEARD and not row.generation_id for row in rows)
    if not len(rows) - unheard <= len(faults) <= len(rows):
        told.append(f"{len(rows)} attempts in the ledger, {len(faults)} requests came")
    ours = {row.generation_id: row for row in rows if row.generation_id}
    charges = {str(charge["id"]): charge for charge in charged}
    strangers = [name for name in charges if name not in ours and Decimal(str(charges[name]["cost"]))]
    if len(strangers) > unheard:
        told.append(f"{len(strangers)} were charged and are in no row; {unheard} attempts heard nothing")
    for name in charges.keys() & ours.keys():
        told += [f"{one} ({faults.get(name)})" for one in _unlike(ours[name], charges[name])]
    return told


def _unlike(row: Any, charge: Mapping[str, Any]) -> list[str]:
    """One generation of theirs against our row of it. A row that says that it does not know its cost is no lie."""
    cost = Decimal(str(charge["cost"]))
    if row.quality == "reported" and row.cost != cost:
        return [f"{row.attempt} ({row.outcome}) says {row.cost}, and {cost} was charged"]
    if row.outcome == "answered" and charge["outcome"] != "whole":
        return [f"{row.attempt} is called answered, and was {charge['outcome']}"]
    return []


def when(ready: Callable[[], bool], patience: float = 10.0) -> bool:
    """Whether it has come true in time: another thread or process needs its moment for it."""
    until = time.monotonic() + patience
    while not ready():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True
