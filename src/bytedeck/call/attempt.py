"""One try at one model, from Begin to its one settlement.

Deadlines run on data events, never on bytes, and stand still while the caller holds us
in Emit. Whatever ends an attempt, by its end, a fault, the caller's leaving or a bug of
ours, there is exactly one Settle for each Begin that was not refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from ..claims import Claim
from ..codec import faults
from ..codec.chunks import Reader
from ..errors import ByteError, LedgerError, error_from
from ..types import Attempt, Delta, Fault, Intent, Quality, Reply, Request, Settlement, Timeouts, Usage
from .record import record_of
from .steps import (
    Abandoned,
    Began,
    Begin,
    Broken,
    Data,
    Emit,
    Ended,
    Flow,
    Mark,
    Opened,
    Outcome,
    Refused,
    Settle,
    Start,
    Tick,
    Wait,
    came,
    moment,
    speak,
    wait,
)
from .voice import Voice

# How long the store may take to write an intent before we call it broken.
BEGIN_TIMEOUT = 15.0
# The answer is whole at its finish reason; usage and [DONE] follow at once or not at all.
TAIL_TIMEOUT = 5.0
# While a model only reasons it may be silent for longer (wire reference D4: 30 s and 120 s).
REASONING_PATIENCE = 4.0
# An error body is a few hundred bytes; an edge's HTML page some ten thousand.
MAX_ERROR_BODY = 1 << 20
_CACHE = "x-openrouter-cache-"
_CACHE_STATUS = "x-openrouter-cache-status"
"""There only where the upstream's own response cache was asked for."""
# An answer that came without streaming, images as data URLs included.
MAX_BODY = 64 << 20


class Try(Struct, frozen=True, kw_only=True):
    """What an attempt needs to know."""

    leg: int
    intent: Intent
    claim: Claim | None
    """What it takes from limits and budgets; None: nothing limits it."""
    request: Request
    timeouts: Timeouts
    voice: Voice | None
    """Through which the caller hears it while it comes; None: it does not."""
    held: bool
    """Whether it is kept back all the same, until the answer is whole and has been read."""
    ledger_required: bool
    estimate: Callable[[Usage], int | None]
    """What a usage without a cost would cost, in units."""
    clean: Callable[[str], str]
    """Takes keys out of an upstream's words."""
    raced: bool = False
    """Whether it runs beside another one, and tells when it speaks."""
    is_local: bool = False
    """Whether the model runs on this machine: it costs nothing, and its faults are not OpenRouter's."""


class Tried(Struct, frozen=True, kw_only=True):
    """How it went."""

    fault: Fault | None
    reply: Reply
    """What the wire brought, whole or not."""
    record: Attempt
    at: float
    deadline: float
    """The request's total deadline, moved by the time that the caller took in Emit."""
    shown: bool
    """Whether the caller has seen anything of this attempt."""
    voice: Voice | None
    held: bool
    """Whether the answer has still to be handed over, and read from its JSON."""
    notes: tuple[str, ...] = ()
    is_refused: bool = False
    """Whether a limit or a budget kept it back: nothing was sent, and there is no row of it."""


class Tally(Struct):
    """What is known of a running attempt; it lives as long as the generator."""

    deadline: float
    reader: Reader = field(default_factory=Reader)
    started: float | None = None
    at: float = 0.0
    first_token: float | None = None
    status: int | None = None
    generation: str = ""
    shown: bool = False
    notes: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


Exchange: TypeAlias = Callable[[Try, Tally], Flow[Fault | None]]
"""Sends the request and reads the answer. None: it is whole."""


def attempt(job: Try, at: float, deadline: float, exchange: Exchange | None = None) -> Flow[Tried]:
    """Ask one model once. Raises LedgerError where the ledger is required and cannot be written.

    `exchange`: what sends the request and reads its answer, where it is no chat.
    """
    tally = Tally(deadline)
    try:
        tally.at = moment((yield Begin(job.leg, job.intent, job.claim)))
        due = tally.at + BEGIN_TIMEOUT
        begun = yield Wait((job.leg,), due if due < deadline else deadline)  # `min` takes three times as long
        if isinstance(begun, Began):
            tally.notes = begun.warnings
        elif (refusal := _not_begun(job, tally, came(begun))) is not None:
            return _kept_back(job, tally, refusal)
        fault = yield from (exchange or _exchange)(job, tally)
        if job.voice is not None and not job.held:
            fault = yield from _last_words(job, tally, job.voice, fault)
    except GeneratorExit:
        raise  # a generator may not yield while it is being closed; the driver settles what is left
    except BaseException as exc:
        entry = _settlement(job, tally, Fault(code=_ending(exc)), tally.reader.reply())
        moment((yield Settle(job.leg, entry, False)))
        raise
    if fault is not None:
        fault = _told(job, fault)
    reply = tally.reader.reply()
    if tally.headers:
        reply = replace(reply, headers=tally.headers)
    entry = _settlement(job, tally, fault, reply)
    tally.at = moment((yield Settle(job.leg, entry, fault is None)))
    return Tried(
        fault=fault,
        reply=reply,
        record=record_of(job.intent, entry, fault),
        at=tally.at,
        deadline=tally.deadline,
        shown=tally.shown,
        voice=job.voice,
        held=job.held,
        notes=tally.notes,
    )


def _ending(exc: BaseException) -> str:
    """What the row says of an attempt that an exception ended."""
    if isinstance(exc, ByteError):
        return exc.code
    if isinstance(exc, Abandoned):
        return exc.outcome
    return "internal" if isinstance(exc, Exception) else Abandoned.outcome


def _not_begun(job: Try, tally: Tally, outcome: Outcome) -> Fault | None:
    """What else the store has to say to a Begin: a Fault where a limit refused, None to go on without a row."""
    match outcome:
        case Refused():
            tally.at = outcome.at
            return Fault(
                code=outcome.code,
                message=outcome.why,
                retry_after=outcome.again,
                affordable_units=outcome.room,
                hint=outcome.hint,
            )
        case Broken():
            why = outcome.why
        case Tick(at=at) if at >= tally.deadline:  # whatever the store says later is settled
            tally.at = at
            raise error_from(Fault(code="total_timeout"))
        case _:
            why = "The ledger did not answer in time."
    if job.claim is not None and job.claim.is_strict:
        raise LedgerError(why, hint=("A hard budget is set, and without the ledger it cannot be kept.",))
    if job.ledger_required:
        raise LedgerError(why, hint=("Set [ledger] required = false to answer without a receipt.",))
    uncounted = " Your limits were not asked." if job.claim is not None else ""
    tally.notes = (f"{why} This answer's cost is not recorded.{uncounted}",)
    return None


def _kept_back(job: Try, tally: Tally, fault: Fault) -> Tried:
    """A limit refused it: nothing was written, so there is nothing to settle."""
    return Tried(
        fault=fault,
        reply=Reply(),
        record=Attempt(
            model=job.intent.model,
            outcome=fault.code,
            cost_units=0,
            quality="reported",
            message=fault.message,
        ),
        at=tally.at,
        deadline=tally.deadline,
        shown=False,
        voice=job.voice,
        held=job.held,
        is_refused=True,
    )


def _exchange(job: Try, tally: Tally) -> Flow[Fault | None]:
    """Send the request and read the answer. None: it is whole, or cut by `length`."""
    tally.started = tally.at = moment((yield Start(job.leg, job.request)))
    due = tally.at + job.timeouts.headers
    outcome = yield Wait((job.leg,), due if due < tally.deadline else tally.deadline)
    if not isinstance(outcome, Opened):
        return unopened(came(outcome), tally)
    tally.at = outcome.at
    tally.status = outcome.status
    tally.reader.now_epoch = outcome.wall
    tally.generation = outcome.headers.get("x-generation-id", "")
    if tally.generation:
        moment((yield Mark(job.leg, job.intent.attempt, tally.generation)))
    if _CACHE_STATUS in outcome.headers:
        tally.headers = tuple(one for one in outcome.headers.items() if one[0].startswith(_CACHE))
        if job.voice is not None:
            job.voice.started_with(tally.headers)
    if outcome.status != 200:
        return (yield from _refusal(job, tally, outcome))
    kind = outcome.headers.get("content-type", "")
    if "json" in kind:
        return (yield from _body(job, tally))
    if "html" in kind:
        return Fault(code="malformed", message="A web page came instead of an answer: is the base URL right?")
    return (yield from _stream(job, tally))


def unopened(outcome: Outcome, tally: Tally) -> Fault:
    match outcome:
        case Broken(at=at, phase="connect", why=why):
            tally.at = at
            return Fault(code="connect_failed", message=why)
        case Broken(at=at, why=why):
            tally.at = at
            return Fault(code="connection_lost", message=why)
        case Tick(at=at):
            tally.at = at
            return Fault(code="total_timeout" if at >= tally.deadline else "headers_timeout")
    return Fault(code="connection_lost")


def _refusal(job: Try, tally: Tally, opened: Opened) -> Flow[Fault]:
    """An error status: read what the upstream has to say, as far as it comes."""
    body, _ = yield from collect(job, tally, MAX_ERROR_BODY)
    return faults.from_response(opened.status, opened.headers, body, opened.wall)


def _body(job: Try, tally: Tally) -> Flow[Fault | None]:
    """A whole JSON answer to a request that could not be, or was not, streamed."""
    body, end = yield from collect(job, tally, MAX_BODY)
    if not isinstance(end, Ended):
        return cut(end, tally)
    deltas = tally.reader.body(body)
    if deltas:
        yield from _show(job, tally, deltas)
    return tally.reader.verdict()


def collect(job: Try, tally: Tally, limit: int) -> Flow[tuple[bytes, Outcome]]:
    """The body until its end, its limit or the headers' patience once more."""
    pieces: list[bytes] = []
    size = 0
    # A body that is not a stream is on its way whole once its headers are here, unless the model
    # still writes it: then only the total deadline bounds it.
    due = tally.deadline if tally.status == 200 else min(tally.at + job.timeouts.idle, tally.deadline)
    while True:
        outcome = yield from wait(job.leg, due)
        tally.at = outcome.at
        if not isinstance(outcome, Data):
            return b"".join(pieces), outcome
        pieces.append(outcome.data)
        size += len(outcome.data)
        if size > limit:
            return b"".join(pieces), Broken(
                job.leg, outcome.at, "body", f"The body is larger than {limit} bytes."
            )


def _stream(job: Try, tally: Tally) -> Flow[Fault | None]:
    """Events until [DONE], the end, a fault or a deadline."""
    reader = tally.reader
    due = tally.at + job.timeouts.first_event
    while not reader.done:
        outcome = yield Wait((job.leg,), due if due < tally.deadline else tally.deadline)
        if not isinstance(outcome, Data):
            outcome = came(outcome)
            tally.at = outcome.at
            if isinstance(outcome, Ended):
                break
            return reader.verdict() if reader.finished else cut(outcome, tally)
        tally.at = outcome.at
        events = reader.events
        deltas = reader.feed(outcome.data)
        paused = (yield from _show(job, tally, deltas)) if deltas else 0.0
        if reader.fault is not None or (job.voice is not None and job.voice.refused):
            return reader.verdict()
        if reader.events != events and not reader.done:
            due = outcome.at + _idle(job, reader)
        due += paused
    fault = reader.end()
    if reader.leftover:  # what stood in a last event without its blank line
        yield from _show(job, tally, reader.leftover)
    return fault


def _show(job: Try, tally: Tally, deltas: list[Delta]) -> Flow[float]:
    """Hand over to the caller; the answer is how long that took, which no deadline counts."""
    if tally.first_token is None and tally.reader.tokens and tally.started is not None:
        tally.first_token = tally.at - tally.started
        if job.raced:
            yield from speak(job.leg)
    if job.voice is None or job.held:
        return 0.0
    deltas = job.voice.say(deltas)
    return (yield from _hand_over(tally, deltas)) if deltas else 0.0


def _hand_over(tally: Tally, deltas: list[Delta]) -> Flow[float]:
    tally.shown = True  # even by what nobody can read: it is out, and told that the answer has begun
    back = moment((yield Emit(deltas)))
    paused = max(0.0, back - tally.at)
    tally.deadline += paused
    tally.at = max(back, tally.at)
    return paused


def _last_words(job: Try, tally: Tally, voice: Voice, fault: Fault | None) -> Flow[Fault | None]:
    """The end of what the caller hears: what was held back is shown, if the answer is whole and fits."""
    if fault is not None and fault.code == "empty_answer" and tally.reader.finished:
        fault = _without_words(voice, fault)
    if fault is None and (last := voice.end()):
        yield from _hand_over(tally, last)
    return Fault(code="seam_refused") if voice.refused else fault


def _without_words(voice: Voice, fault: Fault) -> Fault | None:
    """An end without a word: who was to go on had nothing to add, or did not take up what was said."""
    if voice.uptake.way == "prefill":
        return None
    voice.refused = voice.uptake.way == "echo"
    return fault


def _idle(job: Try, reader: Reader) -> float:
    """How long the next data event may take."""
    if reader.finished:
        return min(TAIL_TIMEOUT, job.timeouts.idle)
    if not reader.tokens:
        return job.timeouts.first_event  # the bare role comes at once, the first token not
    return job.timeouts.idle * (1.0 if reader.has_spoken else REASONING_PATIENCE)


def cut(outcome: Outcome, tally: Tally) -> Fault:
    match outcome:
        case Broken(why=why):
            return Fault(code="truncated", message=why)
        case Tick(at=at) if at >= tally.deadline:
            return Fault(code="total_timeout")
    return Fault(code="idle_timeout" if tally.reader.tokens else "first_event_timeout")


def _told(job: Try, fault: Fault) -> Fault:
    """A fault as it may be told: without keys, and with the right one to blame."""
    code = "local_error" if job.is_local and fault.code == "server_error" else fault.code
    return replace(fault, code=code, message=job.clean(fault.message))


def _settlement(job: Try, tally: Tally, fault: Fault | None, reply: Reply) -> Settlement:
    cost, quality = _cost(job, tally, fault)
    return Settlement(
        attempt=job.intent.attempt,
        outcome="answered" if fault is None else fault.code,
        quality=quality,
        cost_units=cost,
        cost_text=reply.usage.cost_text if reply.usage else "",
        usage=reply.usage,
        model=reply.model,
        provider=reply.provider,
        generation_id=tally.generation or reply.generation_id,
        finish_reason=reply.finish_reason,
        error="" if fault is None else (fault.error_type or fault.code),
        first_token=tally.first_token,
        seconds=0.0 if tally.started is None else tally.at - tally.started,
    )


def _cost(job: Try, tally: Tally, fault: Fault | None) -> tuple[int | None, Quality]:
    """What the attempt cost, and how we know (promise P4)."""
    usage = tally.reader.usage
    if job.is_local:
        return 0, "reported"
    if usage is not None and usage.cost_units is not None:
        return usage.cost_units, "reported"
    if tally.started is None or (fault is not None and fault.code == "connect_failed"):
        return 0, "reported"  # nothing left this machine
    if tally.status is not None and tally.status != 200:
        return 0, "reported"  # refused by its status: the upstream began no work
    if usage is not None and fault is None and not usage.is_byok:
        # What broke off may be free, and with a key of one's own there are two bills: that only the upstream knows.
        estimate = job.estimate(usage)
        return estimate, "unknown" if estimate is None else "estimated"
    return None, "unknown"
