"""Asking, and showing the answer: the answer alone on stdout, everything about it on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..client import Hub
from ..errors import NOT_ASKED, ByteError, InternalError, UpstreamError
from ..money import to_text
from ..types import Reply
from . import cap, conversation, events, limits, money, outcome, show, tell
from .blocks import first_code
from .question import Given, Question, compose

if TYPE_CHECKING:
    from ..house import Explanation
    from ..types import Ask, Plan


_PIPE = "What is in a pipe cannot be taken back, so no answer is begun anew there. Wait for a whole one with: --no-stream"


def answer(given: Given) -> int:
    """The whole of `byte ask`; returns the exit code. Raises what `exits` knows."""
    with _failing_as_json(given.json_):
        hub = Hub()
        warn = _Warnings()
        try:
            warn(*hub.warnings)
            question = compose(given, hub.house.config.home)
            if given.explain:
                _explain(hub, question)
                return 0
            reply = _ask(hub, question, warn)
        finally:
            # The ledger's last rows are written here, and with them the last warnings.
            hub.close()
            warn(*hub.warnings)
        return outcome.exit_code(reply)


@contextlib.contextmanager
def _failing_as_json(wanted: bool) -> Iterator[None]:
    """With --json there is one object on stdout whatever happens."""
    try:
        yield
    except (BrokenPipeError, tell.OutputFailed):
        raise
    except ByteError as error:
        if wanted:
            tell.out_json(outcome.as_json(error.reply or Reply(), error))
        raise
    except KeyboardInterrupt:
        if wanted:
            stopped = ByteError("Stopped by Ctrl-C.", code="interrupted")
            tell.out_json(outcome.as_json(Reply(), stopped))
        raise
    except Exception:
        if wanted:
            tell.out_json(outcome.as_json(Reply(), InternalError("Something went wrong inside Bytedeck.")))
        raise


class _Warnings:
    """Warnings, each cause once: a ledger that cannot be opened loses three rows an answer."""

    def __init__(self) -> None:
        self._told: list[str] = []

    def __call__(self, *warnings: str) -> None:
        for warning in warnings:
            cause = warning.partition(" was not recorded. ")[2] or warning
            if not any(cause in one for one in self._told):
                tell.warn(warning)
                self._told.append(warning)


def _explain(hub: Hub, question: Question) -> None:
    found = hub.explain(question.messages, **question.arguments, **question.given.params)
    if question.given.json_:
        tell.out_json(_explained(found))
        return
    tell.out(f"Task: {found.plan.task}" if found.plan.task else "No task: nothing of ours goes along.")
    rows = [
        (f"{place}.", one.name, one.model, one.why)
        for place, one in enumerate(found.plan.candidates, start=1)
    ]
    tell.out(tell.table(rows))
    worst = "not bounded by a known price" if found.worst_units is None else f"${to_text(found.worst_units)}"
    tell.out(f"Worst case of the first: {worst} ({found.prompt_bytes:,} bytes to send)")
    for line in money.explained(found, hub.house.config):
        tell.out(line)
    for note in found.plan.notes:
        tell.out(f"Note: {note}")
    tell.say("Nothing was sent to a model.", dim=True)


def _explained(found: Explanation) -> dict[str, Any]:
    return {
        "task": found.plan.task,
        "candidates": [
            {
                "model": one.model,
                "model_name": one.name,
                "route": one.route,
                "why": one.why,
                "admission": None if told is None else money.admission(told),
            }
            for one, told in zip_longest(found.plan.candidates, found.outlooks)
        ],
        "worst_case": None if found.worst_units is None else to_text(found.worst_units),
        "prompt_bytes": found.prompt_bytes,
        "admission": money.admission(found.outlooks[0]),
        **limits.as_json_object(found.standing),
        "notes": list(found.plan.notes),
    }


def _ask(hub: Hub, question: Question, warn: _Warnings) -> Reply:
    """Ask, show, keep."""
    given = question.given
    asked = hub.house.ask(
        question.messages,
        **question.arguments,
        headers=None,
        params=dict(given.params),
        streamed=given.streams,
    )
    plan = hub.house.plan(asked)
    _announce(plan)
    try:
        may_stream = _may_stream(given, plan)
        reply = _streamed(hub, question, plan) if may_stream else _whole(hub, question, asked)
    except ByteError as error:
        if error.reply is not None:
            _tell_more(hub, error.reply, plan, given, warn)
        raise
    _keep(question, reply.text, reply)
    _tell_after(hub, reply, plan, given, warn)
    return reply


def _may_stream(given: Given, plan: Plan) -> bool:
    """What is in a pipe cannot be taken back: who wants an answer begun anew there gets it once it is whole."""
    return given.streams and (tell.is_terminal(sys.stdout) or plan.policy.failover != "restart")


def _announce(plan: Plan) -> None:
    """Which model answers, and why, before its first word."""
    first = plan.candidates[0]
    tell.say(f"▸ {first.name}: {first.why}", dim=True)
    for note in plan.notes:
        tell.note(note)


def _streamed(hub: Hub, question: Question, plan: Plan) -> Reply:
    sink = show.sink()
    # What is in a pipe cannot be taken back.
    can_erase = tell.is_terminal(sys.stdout)
    stream = hub.stream(question.messages, can_erase=can_erase, **question.arguments, **question.given.params)
    news = events.News()
    try:
        with stream:
            for delta in stream:
                if news.hear(delta):
                    sink.end()
                    sink = show.sink()
                    news.tell()
                sink.write(delta.text)
        sink.end()
        news.tell()
    except ByteError as error:
        sink.end()
        news.tell()
        _keep(question, stream.text)
        may_go_on = plan.policy.failover != "error"
        if stream.text and not can_erase and may_go_on and _might_go_on(error):
            error.hint += (_PIPE,)
        raise
    except KeyboardInterrupt:
        sink.end()
        news.tell()
        _keep(question, stream.text)
        tell.say("Stopped.", dim=True)
        raise
    except (BrokenPipeError, tell.OutputFailed):
        _keep(question, stream.text)
        raise
    return stream.reply


def _might_go_on(error: ByteError) -> bool:
    """Whether a whole answer could have come: what no budget pays for once more would not."""
    notes = error.reply.notes if error.reply is not None else ()
    return isinstance(error, UpstreamError) and not any(NOT_ASKED in note for note in notes)


def _whole(hub: Hub, question: Question, asked: Ask) -> Reply:
    given = question.given
    try:
        reply = _heard(hub, replace(asked, streamed=False, listens=True))
    except ByteError as error:
        if not given.json_:
            _print(error.partial_text, given)
        _keep(question, error.partial_text)
        raise
    except KeyboardInterrupt:
        tell.say("Stopped.", dim=True)
        raise
    if given.json_:
        tell.out_json(outcome.as_json(reply))
    else:
        _print(reply.text, given)
    return reply


def _heard(hub: Hub, asked: Ask) -> Reply:
    """The answer once it is whole; what happens meanwhile is told at once."""
    news, drive = events.News(), hub.answer(asked)
    try:
        while (deltas := drive.advance()) is not None:
            for delta in deltas:
                news.hear(delta)
    finally:
        drive.leave()
    return drive.result


def _print(text: str, given: Given) -> None:
    """An answer that was not shown while it came."""
    sink: show.Sink = show.Plain() if given.extract else show.sink()
    if given.extract and text:
        code = first_code(text)
        if code is None:
            tell.note("there is no code block in the answer; here is all of it.")
        else:
            text = code
    sink.write(text)
    sink.end()


def _keep(question: Question, text: str, reply: Reply | None = None) -> None:
    """Keep the turn for -c, if there is anything to keep."""
    if question.given.no_save or not text.strip():
        return
    question.story.add(
        conversation.Turn(
            user=question.user,
            answer=text,
            at=conversation.now(),
            system=question.system,
            task=question.task,
            models=question.models,
            model=reply.model if reply else "",
            finish_reason=reply.finish_reason if reply else "",
        )
    )


def _tell_after(hub: Hub, reply: Reply, plan: Plan, given: Given, warn: _Warnings) -> None:
    """What is known only now: who really answered, what else came, what it took."""
    instead = outcome.answered_instead(reply, plan.candidates[0].model)
    if instead:
        tell.say(instead, dim=True)
    if reply.refusal:
        tell.say(f"The model refused: {reply.refusal}")
    if not given.json_:
        _tell_unprintable(reply)
    if reply.finish_reason == "length":
        tell.warn("The answer was cut at its token limit. Allow more with: -o max_tokens 8000")
    _tell_more(hub, reply, plan, given, warn)
    if reply.cost:
        cap.mention(hub.house.config)


def _tell_unprintable(reply: Reply) -> None:
    """What an answer may hold besides text."""
    if reply.tool_calls and not reply.text:
        # Then they are the answer.
        for call in reply.tool_calls:
            tell.out_json({"id": call.id, "name": call.name, "arguments": call.arguments})
    elif reply.tool_calls:
        tell.note(f"the model calls tools ({len(reply.tool_calls)}); --json shows them.")
    for what, found in (("pictures", reply.images), ("sources", reply.annotations)):
        if found:
            tell.note(f"the answer has {what} ({len(found)}); --json shows them.")


def _tell_more(hub: Hub, reply: Reply, plan: Plan, given: Given, warn: _Warnings) -> None:
    """Notes that came up on the way, and for -u what it took."""
    warn(*(note for note in reply.notes if note not in plan.notes))
    if given.usage:
        if reply.attempts:
            tell.say(outcome.took(reply), dim=True)
        if spent := money.today(hub):
            tell.say(spent, dim=True)
