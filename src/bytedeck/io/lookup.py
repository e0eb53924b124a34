"""Asks the upstream what attempts have cost whose end did not tell it: `GET /generation`, a few at a time.

Each cost is in the ledger as soon as it is known, so whatever ends this early loses nothing. Any number of
processes may do it at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import quote

from msgspec.structs import replace

from ..codec import faults
from ..codec.usage import read_generation
from ..errors import TABLE, AuthenticationFailed, ByteError, error_from
from ..ledger.entry import Awaiting, Reconciliation
from ..ledger.lookup import missing, pause
from ..ledger.report import Reconciled
from ..types import Fault, Usage
from .clock import wall
from .openrouter import ask
from .wire import Late, WireError

if TYPE_CHECKING:
    from .store import Store
    from .wire import Wire

TIMEOUT = 10.0
"""Seconds for one look."""
AT_ONCE = 8
_PAGE = 1000
# So often in a row nobody can be asked, then it is told.
_PATIENCE = 3

Look: TypeAlias = Callable[[str], "tuple[int, dict[str, str], bytes]"]
"""GETs a path below the base URL: status, headers, body. Raises Late, WireError, ValueError."""


class Desk(Protocol):
    """What a lookup has to know of who wants it."""

    @property
    def store(self) -> Store: ...

    @property
    def key_label(self) -> str:
        """What the rows call the key; "" without one."""

    scripted: bool
    """Whether a script answers: that takes no key."""

    def clean(self, text: str) -> str:
        """Takes keys out of an upstream's words."""


def reconcile(desk: Desk, wire: Wire, wait: float, sleep: Callable[[float], object]) -> Reconciled:
    """See `Hub.reconcile`."""
    return Lookup(desk, lambda path: ask(wire, path, TIMEOUT), sleep).run(wait)


_Answer: TypeAlias = Usage | Fault
# The upstream answers, and knows nothing of this one.
_NO_RECORD = (400, 404, 410, 422)
# It is about this record alone; the others are worth asking for.
_OF_THIS_ONE = ("malformed", "server_error", "provider_error", "unavailable", "upstream_timeout")


class Lookup:
    """One run over all attempts that await their cost. Blocks."""

    def __init__(
        self,
        desk: Desk,
        look: Look,
        sleep: Callable[[float], object],
        clock: Callable[[], int] = wall,
        is_left: Callable[[], bool] = lambda: False,
    ) -> None:
        """`clock`: microseconds since 1970; `is_left`: whether nobody waits for the outcome any more."""
        self._store = desk.store
        self._look = look
        self._clean = desk.clean
        self._label = desk.key_label
        self._may_ask = bool(desk.key_label) or desk.scripted
        self._sleep = sleep
        self._clock = clock
        self._is_left = is_left
        self._wait = 0.0
        self._found = self._units = self._given_up = 0
        self._stopped: ByteError | None = None
        self._trouble: Fault | None = None
        """What was last wrong with a single record."""

    def run(self, wait: float) -> Reconciled:
        """Look all of them up; records that may come any moment are waited for, so many seconds in all."""
        self._wait = wait
        swept = self._store.sweep()
        soon: list[Awaiting] = []
        for page in self._pages():
            if not self._may_ask:
                self._stopped = _no_key()
            if self._is_over:
                break
            soon += self._looked(page)
        looks = 0
        while soon and self._wait > 0 and not self._is_over:
            looks += 1
            self._hold(pause(looks))
            soon = self._looked(soon)
        if self._trouble is not None and not (self._found or self._given_up or self._stopped):
            self._stopped = error_from(self._trouble)
        return Reconciled(
            swept=swept,
            found=self._found,
            cost_units=self._units,
            unknown=sum(map(len, self._pages())),
            given_up=self._given_up,
            stopped=self._stopped,
        )

    @property
    def _is_over(self) -> bool:
        return self._stopped is not None or self._is_left()

    def _pages(self) -> Iterator[list[Awaiting]]:
        after = 0
        while page := self._store.awaiting(_PAGE, after):
            yield page
            after = page[-1].place

    def _hold(self, seconds: float) -> None:
        """Wait, out of the time that there is for it."""
        seconds = min(seconds, self._wait)
        self._wait -= seconds
        self._sleep(seconds)

    def _looked(self, rows: Sequence[Awaiting]) -> list[Awaiting]:
        """Look these up; of them, those that are worth another look soon."""
        left, soon, strikes = list(rows), [], 0
        while left and not self._is_over:
            halt = None
            asked, left = _round(left, self._answer, self._is_left)
            for row, answer in asked:
                if isinstance(answer, Fault) and not _is_of_this_one(answer):
                    halt = answer
                    left.append(row)
                elif self._is_worth_another(row, answer):
                    soon.append(row)
            if halt is not None:
                strikes += 1
                self._make_way(halt, strikes)
        return soon

    def _make_way(self, fault: Fault, strikes: int) -> None:
        """Nobody can be asked at the moment: wait, where there is time for it, else tell why."""
        seconds = max(pause(strikes), fault.retry_after or 0.0)
        if strikes < _PATIENCE and TABLE[fault.code].retries and seconds <= self._wait:
            self._hold(seconds)
        else:
            self._stopped = error_from(fault)

    def _is_worth_another(self, row: Awaiting, answer: _Answer) -> bool:
        """Write what was told; whether another look may tell more."""
        if isinstance(answer, Usage):
            self._note(row, answer)
            return False
        if answer.status not in _NO_RECORD:
            self._trouble = answer
            return True
        meaning = missing(row.settled_at, self._clock(), row.key == self._label)
        if meaning == "never":
            self._store.reconcile(Reconciliation(attempt=row.attempt, cost_units=None))
            self._given_up += 1
        return meaning == "soon"

    def _note(self, row: Awaiting, told: Usage) -> None:
        found = Reconciliation(
            attempt=row.attempt, cost_units=told.cost_units, cost_text=told.cost_text, usage=told
        )
        self._store.reconcile(found)
        self._found += 1
        self._units += told.spend_units or 0

    def _answer(self, row: Awaiting) -> _Answer:
        """What the upstream says of one."""
        try:
            status, headers, body = self._look(f"/generation?id={quote(row.generation_id, safe='')}")
        except Late:
            return Fault(code="connection_lost", message=f"There was no answer within {TIMEOUT:.0f} s.")
        except WireError as exc:
            code = "connect_failed" if exc.phase == "connect" else "connection_lost"
            return Fault(code=code, message=self._clean(str(exc)))
        except ValueError:
            return Fault(code="malformed")
        if status == 200:
            return read_generation(body) or Fault(code="malformed")
        fault = faults.from_response(status, headers, body, self._clock() / 1_000_000)
        return replace(fault, status=status, message=self._clean(fault.message))


def _is_of_this_one(fault: Fault) -> bool:
    return fault.status in _NO_RECORD or fault.code in _OF_THIS_ONE


def _no_key() -> ByteError:
    return AuthenticationFailed(
        "What an answer cost is told only to who has an API key, and there is none.",
        hint=("Save one from https://openrouter.ai/keys with: byte keys set", "Or set OPENROUTER_API_KEY."),
    )


def _round(
    rows: Iterable[Awaiting], answer: Callable[[Awaiting], _Answer], is_left: Callable[[], bool]
) -> tuple[list[tuple[Awaiting, _Answer]], list[Awaiting]]:
    """Ask for each, a few at once, until nobody can be asked; what was answered, and what was not asked for."""
    todo = deque(rows)
    told: SimpleQueue[tuple[Awaiting, _Answer] | BaseException | None] = SimpleQueue()
    over: list[bool] = []

    def work() -> None:
        try:
            while not (over or is_left()):
                row = todo.popleft()
                found = answer(row)
                told.put((row, found))
                if isinstance(found, Fault) and not _is_of_this_one(found):
                    over.append(True)
            told.put(None)
        except IndexError:  # that was all
            told.put(None)
        except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
            told.put(exc)

    working = [_started(work) for _ in range(min(AT_ONCE, len(todo)))]
    answers: list[tuple[Awaiting, _Answer]] = []
    try:
        while working:
            came = told.get()
            if isinstance(came, BaseException):
                raise came
            if came is None:
                working.pop()
            else:
                answers.append(came)
    finally:
        over.append(True)
    return answers, list(todo)


def _started(work: Callable[[], None]) -> bool:
    """Let it run in a thread, which a Ctrl-C does not wait for; where there can be none, here and now."""
    thread = threading.Thread(target=work, name="bytedeck-lookup", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        work()
    return True
