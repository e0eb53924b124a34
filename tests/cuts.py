"""One schedule of models, manners and cuts, played in virtual time, and all that is promised of any of them.

Each check is a sentence of the promise: rows, events, what was shown, the text, tool calls, rights, time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import msgspec

from bytedeck import pipeline
from bytedeck.config import Config, load
from bytedeck.errors import TABLE, ByteError
from bytedeck.events import FellBack, Seam, Started, Waiting
from bytedeck.pipeline import Deck
from bytedeck.types import Ask, Reply
from continuers import ASKED, GREETING, HONEST, reads_as_echo
from cutworld import BEGAN, MAX_TOKENS, MODELS, CutWorld, Schedule, Shown, Upstream

SILENT = ("headers_timeout", "first_event_timeout")
"""After these a route is not asked again."""
NO_ECHO = frozenset({"no_echo", "drop_space_bare", "greet_bare"})
LONGEST = 600.0
"""Seconds: the engine's own bound on a request."""


@dataclass(frozen=True)
class Outcome:
    """How a schedule ended, after everything about it was checked."""

    reply: Reply
    error: ByteError | None
    shown: Shown
    world: CutWorld

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(seam.kind for seam in self.reply.seams)

    @property
    def label(self) -> str:
        """`whole`, `proven`, `unproven`, `restart` or `error:<code>`: for counting."""
        if self.error is not None:
            return f"error:{self.error.code}"
        return next((kind for kind in ("unproven", "restart", "proven") if kind in self.kinds), "whole")


def config(**changes: Any) -> Config:
    """A configuration without a file, the same for all schedules."""
    found = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"})
    return msgspec.structs.replace(found, **changes)


CONFIGS = {
    prefill: config(prefill={} if prefill is None else dict.fromkeys(MODELS, prefill))
    for prefill in (None, True, False)
}


def play(plan: Schedule) -> Outcome:
    """Run a schedule and check all that is promised of any."""
    world = CutWorld(Upstream(plan))
    error = None
    try:
        reply = world.run(_engine(plan))
    except ByteError as caught:
        error = caught
        assert error.reply is not None, "an error without what there was"
        reply = error.reply
    shown = Shown()
    for delta in world.emitted:
        shown.take(delta)
    outcome = Outcome(reply, error, shown, world)
    for check in (_rows, _events, _same, _text, _joint, _calls, _rights, _time):
        check(plan, outcome)
    return outcome


def _engine(plan: Schedule) -> Generator[Any, Any, Reply]:
    ask = Ask(
        id="0123456789abcdef" * 2,
        messages=ASKED,
        models=MODELS[: plan.chain],
        params={**plan.known.params, "max_tokens": MAX_TOKENS},
        streamed=plan.streamed,
        policy=plan.policy,
        can_erase=plan.can_erase,
    )
    deck = Deck(
        config=CONFIGS[plan.prefill],
        catalog=None,
        has_key=True,
        has_local=False,
        local_reason="",
        clean=str,
        utc_minutes=0,
    )
    return pipeline.answer(ask, deck, BEGAN)


def _rows(plan: Schedule, found: Outcome) -> None:
    """One settlement an intent, and the caller is told of each attempt."""
    world, attempts = found.world, found.reply.attempts
    assert world.leg is None, "a leg was left open"
    assert [s.attempt for s in world.settled] == [i.attempt for i in world.intents]
    assert [i.number for i in world.intents] == list(range(1, len(world.intents) + 1))
    assert [(a.model, a.outcome) for a in attempts] == [
        (intent.model, row.outcome) for intent, row in zip(world.intents, world.settled, strict=True)
    ]
    outcomes = [a.outcome for a in attempts]
    assert all(one in TABLE or one == "answered" for one in outcomes)
    assert "answered" not in outcomes[:-1], outcomes
    assert (outcomes[-1] == "answered") == (found.error is None), outcomes
    if found.error is None:
        assert found.reply.requested_model == world.intents[-1].model
        assert found.reply.model == f"served/{len(attempts)}"


def _events(plan: Schedule, found: Outcome) -> None:
    """One start at most, seams as they are told in the reply, and each names who, why and where."""
    events, intents = found.shown.events, found.world.intents
    assert all(isinstance(one, Started | Waiting | FellBack | Seam) for one in events)
    assert sum(isinstance(one, Started) for one in events) <= 1
    if plan.streamed:
        assert found.reply.seams == found.shown.seams
    else:
        assert not found.world.emitted
    for one in events:
        if isinstance(one, Started):
            assert intents[one.attempt - 1].model == one.model
        if isinstance(one, FellBack):
            assert one.from_model != one.to_model, one
    for seam in found.reply.seams:
        assert seam.to_model == intents[seam.attempt - 1].model, seam
        before = found.reply.attempts[: seam.attempt - 1]
        assert (seam.from_model, seam.why) in [(a.model, a.outcome) for a in before], (seam, before)


def _same(plan: Schedule, found: Outcome) -> None:
    """What was shown is what is told in the end, of an answer and of an error."""
    reply, shown = found.reply, found.shown
    if found.error is not None:
        assert found.error.partial_text == reply.text
    if not plan.streamed:
        return
    assert shown.text == reply.text, (shown.text, reply.text)
    assert shown.reasoning == reply.reasoning, (shown.reasoning, reply.reasoning)
    if found.error is None or plan.policy.stream_tools:
        # A call of which no argument had come yet counts as one without any.
        assert [(id_, name, text or "{}") for id_, name, text in shown.calls] == [
            (call.id, call.name, call.arguments) for call in reply.tool_calls
        ]


def _text(plan: Schedule, found: Outcome) -> None:
    """The known text, or part of it with an error; anything else only where a seam is told as unproven."""
    known, reply = plan.known, found.reply
    told = found.world.upstream.told
    begun_by = found.shown.begun_by if plan.streamed else _begun_by(found)
    whole = told[begun_by - 1] if begun_by else known.text
    since = [seam for seam in reply.seams if seam.attempt > begun_by]
    assert "restart" not in [seam.kind for seam in since]
    if found.error is None:
        assert reply.finish_reason == ("tool_calls" if reply.tool_calls else "stop")
        is_taken = found.world.upstream.wanted[-1].way != "fresh" or begun_by == len(told)
        # Of the last attempt nothing is lost, but for blanks that had been shown before; of some only calls are taken.
        assert not is_taken or _bare(reply.text).endswith(_bare(told[-1])[-3:]), (reply.text, told[-1])
    loose = next((seam for seam in since if _may_differ(plan, found, seam)), None)
    if loose is not None:
        assert reply.text[: loose.after] == whole[: loose.after]
    elif found.error is not None:
        assert whole.startswith(reply.text), (reply.text, whole)
        assert known.reasoning.startswith(reply.reasoning) or plan.thinks
    else:
        assert reply.text == whole, (reply.text, whole)
        assert reply.reasoning == known.reasoning or plan.thinks


def _joint(plan: Schedule, found: Outcome) -> None:
    """Words that repeat nothing of what they were asked to are taken only where a blank stands at the seam."""
    if not NO_ECHO.issuperset(plan.manners):
        return
    upstream = found.world.upstream
    for seam in found.reply.seams:
        want, told = upstream.wanted[seam.attempt - 1], upstream.told[seam.attempt - 1]
        stands = seam.attempt > found.shown.begun_by  # what came before a restart is void
        if not (stands and told and want.way == "echo"):
            continue
        has_blank = found.reply.text[: seam.after][-1:].isspace() or told.removeprefix(GREETING)[:1].isspace()
        assert has_blank or reads_as_echo(want.quote, told), (want, told)


def _bare(text: str) -> str:
    return "".join(text.split())


def _may_differ(plan: Schedule, found: Outcome, seam: Seam) -> bool:
    """Whether the joined text need not be the known one: the seam is told as unproven, or nobody could know better."""
    upstream = found.world.upstream
    want, told = upstream.wanted[seam.attempt - 1], upstream.told[seam.attempt - 1]
    if want.way == "echo" and reads_as_echo(want.quote, told):
        return plan.manners != ("echo",)
    if seam.kind != "unproven":
        return False
    if reads_as_echo(want.quote, told.lstrip()):
        return plan.manners != ("echo",)
    # Who goes on without an echo may have seen the blanks before the seam, or not.
    is_blurred = want.way == "echo" and want.partial[-1:].isspace() and told[:1].isspace()
    return is_blurred or not HONEST.issuperset(plan.manners)


def _begun_by(found: Outcome) -> int:
    """Where nothing was shown: the last attempt that told its own answer from the start, and was not gone on from."""
    restarts = [seam.attempt for seam in found.reply.seams if seam.kind == "restart"]
    fresh = [n for n, want in enumerate(found.world.upstream.wanted, 1) if want.way == "fresh"]
    if restarts:
        return restarts[-1]
    first_seam = min((seam.attempt for seam in found.reply.seams), default=len(found.world.intents) + 1)
    return max((n for n in fresh if n < first_seam), default=0)


def _calls(plan: Schedule, found: Outcome) -> None:
    """Tool calls come whole, once, and from one leg; and not before the end unless that was allowed."""
    known, reply = plan.known, found.reply
    if found.error is not None:
        if not plan.policy.stream_tools:
            assert not found.shown.calls
        return
    is_called = plan.calls_again or len(reply.attempts) == 1
    assert [(c.name, c.arguments) for c in reply.tool_calls] == (list(known.calls) if is_called else [])
    assert len({c.id.split("_")[1] for c in reply.tool_calls}) <= 1, "calls of two legs"
    if plan.streamed and not plan.policy.stream_tools:
        assert sum(bool(delta.tool_calls) for delta in found.world.emitted) <= 1, "calls come all at once"


def _rights(plan: Schedule, found: Outcome) -> None:
    """Who cannot take back is never told to; who wants an error gets it; who names one model gets that one."""
    kinds = set(found.kinds)
    if plan.streamed and not plan.can_erase:
        assert not [seam for seam in found.reply.seams if seam.kind == "restart" and seam.after]
    if plan.policy.failover == "error":
        assert not kinds
    if plan.policy.failover == "restart":
        assert kinds <= {"restart"}
        assert {want.way for want in found.world.upstream.wanted} == {"fresh"}
    models = [attempt.model for attempt in found.reply.attempts]
    assert set(models) <= set(MODELS[: plan.chain])
    assert len(models) <= 3 * plan.chain + 1, models
    for place, attempt in enumerate(found.reply.attempts):
        assert attempt.outcome not in SILENT or attempt.model not in models[place + 1 :], (
            "a silent route was asked again"
        )
    prefilled = [
        m for m, want in zip(models, found.world.upstream.wanted, strict=True) if want.way == "prefill"
    ]
    assert plan.prefill or not prefilled
    assert not plan.refuses_prefill or len(set(prefilled)) == len(prefilled), (
        "a prefill was refused, and tried again"
    )


def _time(plan: Schedule, found: Outcome) -> None:
    """Nothing waits for ever, and what does not stall takes no more than pauses before asking again."""
    taken = found.world.now - BEGAN
    stalls = sum(cut.fault == "stall" for cut in plan.cuts)
    assert taken <= min(LONGEST, 130.0 * stalls + 10.0 * len(found.world.intents)), taken
