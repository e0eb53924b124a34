"""Money to the last unit: what an answer says, what our ledger says and what the simulator charged are one figure."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from bytedeck import Attempt, Reply, Usage
from bytedeck.call.record import record_of
from bytedeck.cli.main import cli
from bytedeck.cli.outcome import as_json, took
from bytedeck.ledger.entry import join
from bytedeck.simulator import Simulator
from exactness import (
    COUNTS,
    PROMPT,
    ROWS,
    WAYS,
    Books,
    Shape,
    differences,
    expected,
    looked_up,
    opened,
    play,
    prepare,
    table,
    true_spend,
    units,
    when,
)
from faces import FACES, Face
from marks import USAGE, intent, settlement
from simclient import settled


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """Its records are there at once; its clock stands still."""
    with Simulator(frozen=True, generation_delay=0.0) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bytedeck.call.retry.FIRST_BACKOFF", 0.001)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_three_books_and_one_figure(name: str, way: str, sim: Simulator, tmp_path: Path) -> None:
    """Streamed or called, blocking or async: the same cost, to the unit, in the answer, our ledger and the upstream's."""
    shape = ROWS[name]
    books = play(sim, shape, way, tmp_path)
    _attempts(shape, way, books)
    _answer(books)
    _ledger(shape, way, books)


def _attempts(shape: Shape, way: str, books: Books) -> None:
    """Who was asked, and how each cost is known right afterwards."""
    wanted = expected(shape, way)
    assert [one.outcome for one in books.reply.attempts] == wanted.attempts
    assert [row.outcome for row in books.rows] == wanted.attempts
    assert [row.quality for row in books.rows] == wanted.known
    assert (books.error == "") is shape.whole


def _answer(books: Books) -> None:
    """The reply and what the command line makes of it say what the ledger said at that moment."""
    reply, rows = books.reply, books.rows
    assert [one.cost_units for one in reply.attempts] == [row.spend_units for row in rows]
    spent = _sum(row.spend_units for row in rows)
    told = _sum(row.spend_units for row in rows if row.quality == "reported")
    assert reply.cost == (None if spent is None else Decimal(spent).scaleb(-12))
    assert (reply.usage and reply.usage.spend_units) == told
    shown = as_json(reply)
    assert _units(shown["cost"]) == _shown(took(reply)) == spent
    assert _units((shown["usage"] or {}).get("cost")) == told
    for count in COUNTS if reply.usage is not None else ():
        assert getattr(reply.usage, count) == sum(getattr(row, count) for row in rows)


def _shown(line: str) -> int | None:
    """The amount in the line of `byte -u`."""
    found = re.search(r"\$([0-9.]+)(?: \((?:partial|estimated)\))? · ", line)
    assert (found is None) is ("cost not known yet" in line)
    return _units(found and found[1])


def _sum(amounts: Iterable[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _units(text: str | None) -> int | None:
    return None if text is None else units(text)


def _ledger(shape: Shape, way: str, books: Books) -> None:
    """What is known is right; in the end all of it is known, and nothing was charged that we do not have."""
    for row in (*books.rows, *books.all_rows):
        if row.cost_units is not None:
            assert differences(row, books.charges[row.generation_id]) == []
    assert [row.state for row in books.final] == ["settled"] * len(books.final)
    assert sum(row.spend_units or 0 for row in books.final) == expected(shape, way).spend
    assert {row.generation_id for row in books.all_rows} == set(books.charges)
    assert books.reported == sum(row.spend_units or 0 for row in books.all_rows)
    assert books.problems == ()


def test_an_attempt_of_which_only_rows_are_left_costs_what_they_say() -> None:
    """Who lost a race with a key of one's own costs both bills, as in the ledger."""
    ended = settlement(1, usage=replace(USAGE, is_byok=True), outcome="lost_race")
    row = join(intent(1), 0, "12-34-ab", None, ended, 1)
    assert record_of(intent(1), ended).cost_units == row.spend_units == 173_000_000


def test_the_speed_is_that_of_the_answer_alone(sim: Simulator, tmp_path: Path) -> None:
    """Where a first attempt was billed for its thoughts, they are in the usage and not in the tokens per second."""
    books = play(sim, ROWS["thought away"], "sync stream", tmp_path)
    reply = books.reply
    assert [one.completion_tokens for one in reply.attempts] == [row.completion_tokens for row in books.rows]
    assert reply.tokens_per_second == reply.attempts[1].tokens_per_second


def test_what_failed_makes_no_answer_faster() -> None:
    """Tokens a second are of the answering attempt alone: its tokens, its time."""
    failed = Attempt(model="a", outcome="truncated", first_token=1.0, seconds=2.0, completion_tokens=1000)
    answered = Attempt(model="b", outcome="answered", first_token=0.5, seconds=2.5, completion_tokens=50)
    usage = Usage(completion_tokens=1050)
    reply = Reply(usage=usage, attempts=(failed, answered), first_token=0.5, seconds=4.5)
    assert reply.tokens_per_second == answered.tokens_per_second == 25.0
    assert "25 tokens/s" in took(reply)
    assert Reply(usage=usage, attempts=(failed,), first_token=1.0, seconds=2.0).tokens_per_second is None


# -- who leaves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "mistralai/mistral-large-2512"])
@pytest.mark.parametrize("kind", FACES)
def test_who_leaves_pays_what_was_produced(kind: str, model: str, sim: Simulator, tmp_path: Path) -> None:
    """A stream that is closed after its first words: at first unknown, then what the upstream charged, all or a part."""
    sim.reset()
    sim.fault("pause;tokens=20;seconds=60", skin="chat")
    face = opened(sim, kind, tmp_path, sim.api_key)
    try:
        face.leave_after(1, PROMPT, model=model)
        settled(sim)
        (before,) = face.rows()
        assert (before.outcome, before.quality, before.state) == ("abandoned", "unknown", "awaiting")
        _same_in_the_end(face, sim)
    finally:
        face.close()


def test_who_cancels_pays_what_was_produced(sim: Simulator, tmp_path: Path) -> None:
    """The same for a task that is cancelled while it waits for the whole answer."""
    sim.reset()
    sim.fault("pause;tokens=20;seconds=60", skin="chat")
    face = opened(sim, "async", tmp_path, sim.api_key)

    async def cancel() -> None:
        task = asyncio.ensure_future(face.hub.chat(PROMPT, model="openai/gpt-4o-mini"))
        assert await asyncio.to_thread(when, lambda: any(row.generation_id for row in face.rows()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        face.run(cancel())
        settled(sim)
        assert [row.outcome for row in face.rows()] == ["abandoned"]
        _same_in_the_end(face, sim)
    finally:
        face.close()


def _same_in_the_end(face: Face, sim: Simulator) -> None:
    looked_up(face)
    (row,), (charge,) = face.rows(), sim.ledger()
    assert (row.quality, row.generation_id) == ("reconciled", charge["id"])
    assert row.spend_units
    assert differences(row, charge) == []


# -- the command line --------------------------------------------------------------------------------

_ASKED = [
    ("own chunk", ()),
    ("own key, fee", ()),
    ("web search", ("-o", "plugins", '[{"id": "web"}]')),
    ("tiny", ()),
    ("free", ()),
    ("fail-over", ()),
    ("no usage", ()),
]


@pytest.mark.parametrize(("name", "more"), _ASKED)
def test_the_command_line_says_the_same(
    name: str, more: tuple[str, ...], sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`byte -u`, its line for today and `byte usage` tell the ledger's figure; after `byte ledger reconcile` it is the upstream's."""
    shape = ROWS[name]
    prepare(sim, shape)
    monkeypatch.setenv("OPENROUTER_API_KEY", shape.key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
    models = [word for model in shape.chain for word in ("-m", model)]
    asked = _byte(*models, *more, "-u", shape.prompt)
    settled(sim)
    known = sum(
        true_spend(sim.ledger()[place]) for place, one in enumerate(shape.known.split()) if one == "reported"
    )
    (took_line,) = re.findall(r"^.* attempts?$", asked.stderr, re.MULTILINE)
    (today,) = re.findall(r"^today \(UTC\) \$([0-9.]+)", asked.stderr, re.MULTILINE)
    assert (_shown(took_line) or 0) == units(today) == known
    assert _spent() == known
    assert _byte("ledger", "reconcile").exit_code == 0
    assert _spent() == units(shape.spend) == sum(map(true_spend, sim.ledger()))
    assert _byte("ledger", "verify").exit_code == 0


def _byte(*words: str) -> Result:
    result = CliRunner().invoke(cli, list(words), prog_name="byte")
    assert result.exit_code == 0, result.output
    return result


def _spent() -> int:
    return units(json.loads(_byte("usage", "--json").stdout)["total"]["cost"])


# -- the judge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"cost_units": 93_000_001}, "cost: 93000001, charged 93000000"),
        ({"is_byok": True}, "is_byok"),
        ({"completion_tokens": 26}, "completion_tokens"),
        ({"web_searches": 1}, "web_searches"),
    ],
)
def test_the_judge_finds_a_unit(changed: dict[str, Any], says: str) -> None:
    """A row that is off by a unit, by a token, or by whose key it was does not pass; the provider's price counts once."""
    row = join(intent(1), 0, "12-34-ab", None, settlement(1), 1)
    charge = {name: getattr(row, name) for name in (*COUNTS, "cache_write_tokens", "web_searches")}
    charge |= {"cost": "0.000093", "upstream": "0.000093", "is_byok": False}
    found = differences(replace(row, **changed), charge)
    assert (bool(found), says in " ".join(found)) == (bool(says), True)


def test_every_shape_is_told_in_the_docs() -> None:
    """None is left out, and no two of them have one name."""
    assert len(ROWS) == len(table().splitlines()) - 2 == 39
