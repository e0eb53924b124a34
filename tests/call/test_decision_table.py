"""The wire reference's decision table (section 7), played row by row in virtual time: what follows from each failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from bytedeck import pipeline
from bytedeck.call.steps import Begin, Start
from bytedeck.config import load
from bytedeck.errors import ByteError
from bytedeck.events import Seam
from bytedeck.pipeline import Deck
from bytedeck.types import Ask, Policy
from continuers import ASKED, MANNERS, Wanted, stream, wanted
from decision_rows import CASES, NEVER
from decisions import SAID, TEXT, WELL, Act, Case
from world import World

CHAIN = {"A": "maker/one", "B": "maker/two", "C": "maker/three"}
CONFIG = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"})
DECK = Deck(
    config=CONFIG, catalog=None, has_key=True, has_local=False, local_reason="", clean=str, utc_minutes=0
)


class Models(World):
    """Each model does what it is told, attempt by attempt; who answers well goes on with what is there."""

    def __init__(self, acts: Mapping[str, tuple[Act, ...]]) -> None:
        super().__init__(WELL)
        self.told = {model: list(own) for model, own in acts.items()}

    def _do(self, command: Any) -> Any:
        if isinstance(command, Begin):
            own = self.told.get(command.intent.model, [WELL])
            self.acts = [own.pop(0) if len(own) > 1 else own[0]]
        answer = super()._do(command)
        if isinstance(command, Start) and self.legs[command.leg].act is WELL:
            self.legs[command.leg].left = [_well(json.loads(command.request.body))]
        return answer


def _well(body: Mapping[str, Any]) -> bytes:
    want = _want(body)
    return stream(TEXT if want.way == "fresh" else MANNERS["echo"](TEXT, want))


def _want(body: Mapping[str, Any]) -> Wanted:
    """Whether the words so far are taken up; they stand behind the caller's own messages."""
    messages = body["messages"]
    place = next((at for at, one in enumerate(messages) if one["content"] == SAID.rstrip()), len(messages))
    return wanted({"messages": [*ASKED, *messages[place:]]})


class Played:
    """One case, played."""

    def __init__(self, case: Case, *, streamed: bool, id_: str = "0123456789abcdef" * 2) -> None:
        asked: dict[str, Any] = {
            "messages": ASKED,
            "models": tuple(CHAIN[one] for one in case.chain),
            **case.ask,
        }
        compact = asked.pop("compact", None)
        ask = Ask(id=id_, streamed=streamed, policy=Policy(compact=compact), **asked)
        self.models = [one.model for one in pipeline.plan(ask, DECK).candidates]
        bad = self.models if case.all_alike else self.models[:1]
        self.world = Models(dict.fromkeys(bad, case.acts))
        self.error: ByteError | None = None
        try:
            self.reply = self.world.run(pipeline.answer(ask, DECK, self.world.now))
        except ByteError as error:
            assert error.reply is not None
            self.error, self.reply = error, error.reply

    @property
    def goes(self) -> str:
        letters = dict(zip(self.models, "ABC", strict=False))
        return ", ".join(f"{letters[one.model]} {one.outcome}" for one in self.reply.attempts)

    @property
    def code(self) -> str:
        return "" if self.error is None else self.error.code

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.world.requests]


def same(found: float, wanted: float) -> bool:
    return abs(found - wanted) < 1e-6


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "chat"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_row(case: Case, streamed: bool) -> None:
    """Who is asked next, what stands of each attempt, how long is waited, and what the caller gets."""
    played = Played(case, streamed=streamed)
    is_unseen = bool(case.unseen) and not streamed
    assert played.goes == (case.unseen if is_unseen else case.goes)
    ends_well = not is_unseen or played.goes.endswith("answered")
    assert played.code == (case.error if ends_well else played.goes.split()[-1])
    waits = case.unseen_waits if is_unseen else case.waits
    assert len(played.world.pauses) == len(waits)
    for pause, (least, most) in zip(played.world.pauses, waits, strict=True):
        assert least <= pause <= most
    assert same(played.world.now - 1000 - sum(played.world.pauses), case.silence)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "chat"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_caller_gets(case: Case, streamed: bool) -> None:
    """The whole answer, or an error that tells and carries what had come; the same in the end as while it came."""
    played = Played(case, streamed=streamed)
    reply, found = played.reply, played.error or played.reply
    assert {name: getattr(found, name) for name in case.tells} == dict(case.tells)
    if not played.error and "text" not in case.tells:
        assert (reply.text, reply.finish_reason) == (TEXT, "stop")
    if played.error:
        assert reply.text == (SAID if case.phase == "after" else "")
        assert not reply.whole
    if streamed:
        assert played.world.text == reply.text
        seams = [delta.event for delta in played.world.emitted if isinstance(delta.event, Seam)]
        assert [seam.kind for seam in seams] == ([case.seam] if case.seam else [])
        assert reply.seams == tuple(seams)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "chat"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_sent(case: Case, streamed: bool) -> None:
    """The same request to the same model or the next, but for a change that the table names, or the words so far."""
    first, *later = Played(case, streamed=streamed).bodies
    assert "models" not in first  # D29: our chain is one model an attempt
    for sent in later:
        changed = {name for name in first | sent if first.get(name) != sent.get(name)} - {"model"}
        if _want(sent).way == "echo":
            assert changed == {"messages"}
            assert sent["messages"][: len(ASKED)] == list(ASKED)
        else:
            wanted = case.changed if sent["model"] == first["model"] else {}
            assert {name: sent.get(name) for name in changed} == dict(wanted)


def test_every_place_of_the_table_is_played() -> None:
    """D1 to D32, before and after the first token; where nothing can be played, it says why."""
    rows = [f"D{n}" for n in range(1, 33)] + ["D2b", "D25b"]
    places = {f"{row} {phase}" for row in rows for phase in ("before", "after")}
    played = {f"{case.row} {case.phase}" for case in CASES}
    assert played | set(NEVER) == places
    assert not played & set(NEVER)
    assert len({case.name for case in CASES}) == len(CASES)
