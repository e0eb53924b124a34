"""An exchange that is passed through: the caller's bytes go out, the upstream's status and body come back.

It is one attempt like any other (`attempt`): a row, limits, a settlement. Only the usage is read of its answer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ..codec import faults
from ..codec.chunks import Reader
from ..codec.shapes import UNREADABLE, text_of
from ..codec.usage import read_usage
from ..types import Fault, Reply, Usage
from .attempt import MAX_BODY, MAX_ERROR_BODY, Tally, Try, collect, cut, unopened
from .steps import Ended, Flow, Opened, mark, start, wait


class _Said(Struct):
    """What is read of an answer; the rest, which may be megabytes of numbers, is not even made."""

    model: Any = None
    provider: Any = None
    id: Any = None
    usage: Any = None
    error: Any = UNSET
    data: msgspec.Raw | UnsetType = UNSET
    results: msgspec.Raw | UnsetType = UNSET


_read = msgspec.json.Decoder(_Said, float_hook=str).decode


class _Account(Reader):
    """What an attempt's row is made of."""

    def __init__(self, said: _Said) -> None:
        super().__init__()
        self.usage = usage_of(said.usage)
        self._reply = Reply(
            model=text_of(said.model),
            provider=text_of(said.provider),
            generation_id=text_of(said.id),
            finish_reason="stop",
            usage=self.usage,
        )

    def reply(self) -> Reply:
        return self._reply


class Whole:
    """What came back of the last attempt: `status` 0 where nothing did."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    def exchange(self, job: Try, tally: Tally) -> Flow[Fault | None]:
        """See `attempt.Exchange`."""
        self.status, self.body = 0, b""
        tally.started = tally.at = yield from start(job.leg, job.request)
        # Its headers come when it is done: only the total deadline bounds it (wire reference D2).
        outcome = yield from wait(job.leg, tally.deadline)
        if not isinstance(outcome, Opened):
            return unopened(outcome, tally)
        tally.at, tally.status = outcome.at, outcome.status
        tally.generation = outcome.headers.get("x-generation-id", "")
        if tally.generation:
            yield from mark(job.leg, job.intent.attempt, tally.generation)
        is_well = outcome.status == 200
        body, end = yield from collect(job, tally, MAX_BODY if is_well else MAX_ERROR_BODY)
        if not is_well:
            if isinstance(end, Ended):
                self.status, self.body = outcome.status, job.clean(body.decode("utf-8", "replace")).encode()
            return faults.from_response(outcome.status, outcome.headers, body, outcome.wall)
        if not isinstance(end, Ended):
            return cut(end, tally)
        return self._take(body, tally)

    def _take(self, body: bytes, tally: Tally) -> Fault | None:
        """A whole answer: what it says of itself, and whether it is one."""
        try:
            said = _read(body)
        except UNREADABLE:
            return Fault(code="malformed", message="What came is no JSON object.")
        tally.reader = _Account(said)
        if said.error is not UNSET and said.data is UNSET and said.results is UNSET:
            return faults.from_error(said.error)
        self.status, self.body = 200, body
        return None


def usage_of(usage: object) -> Usage | None:
    """What a body says of its tokens and its cost. Some tell tokens in sum alone: they are the prompt's."""
    if isinstance(usage, dict) and "prompt_tokens" not in usage and "total_tokens" in usage:
        usage = {**usage, "prompt_tokens": usage["total_tokens"]}
    return read_usage(usage)
