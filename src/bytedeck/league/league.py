"""`hub.arena`, on both faces: what all matches together say of the models, and what comes of it.

Matches are kept beside the ledger; so is what they say, by judges, owners and spectators apart, and every change of a
task's order. Nothing here asks a model but `run`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ..arena.events import Event
from ..arena.judges.agreement import Audit, audit
from ..arena.match import ballot
from ..arena.ratings import promotion, results
from ..arena.ratings.order import Order, seats, sentences
from ..arena.ratings.pairing import Pair
from ..arena.ratings.promotion import Proposal
from ..arena.ratings.results import Tally
from ..arena.ratings.standings import Board
from ..arena.types import Change, Result, Vote
from ..errors import ByteError, InvalidRequest
from ..house import House
from ..io.clock import wall
from . import feedback, tournament
from .scores import Scores, sourced
from .tournament import Progress, aimed

if TYPE_CHECKING:
    from ..io.matches import Kept

P = ParamSpec("P")
T = TypeVar("T")


class Recorded(Struct, frozen=True, kw_only=True):
    """What came of a match that is over."""

    results: tuple[Result, ...] = ()
    """What the judges say of its models; empty where that does not count."""
    change: Change | None = None
    """The change of its task's order that followed by itself (`promote = "auto"`)."""
    warning: str = ""
    """Why a change that was due by itself could not be made; a sentence for people."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it, a sentence each."""
        change = self.change
        made = (
            f"The order of {change.task} is {feedback.shown(change.after)} from now on: {change.why}"
            f" To take it back: byte arena undo {change.task}"
            if change is not None
            else ""
        )
        return tuple(filter(None, (made, self.warning)))


class League:
    """What all matches together say. Threads may share it."""

    def __init__(self, house: House, battle: Callable[..., Any]) -> None:
        self._house = house
        self._scores = Scores(house)
        self._battle = battle

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._house.store.location}>"

    # matches

    def matches(self, limit: int = 50, *, before: str = "", owner: str | None = None) -> tuple[Kept, ...]:
        """The newest matches first. `before`: only those made before this one; `owner`: only of this key.

        Raises LedgerError where they cannot be read, as all methods do.
        """
        return self._house.matches.list(limit, before, owner)

    def find(self, match: str) -> Kept:
        """The match of this id, or of the only one that begins so. Raises InvalidRequest (`unknown_match`), as all methods do."""
        return self._house.matches.find(match)

    def events(self, match: str, after: int = -1) -> tuple[Event, ...]:
        """What happened in a match after the event of this `seq`."""
        return self._house.matches.events(self.find(match).match.id, after)

    def forget(self, match: str) -> None:
        """Remove a match, and what it said of its models. The ledger keeps its rows."""
        self._house.matches.forget(self.find(match).match.id)

    # votes

    def vote(
        self,
        match: str,
        choice: str,
        *,
        round: int | None = None,  # noqa: A002 (the word that everybody uses)
        voter: str = "",
        source: str = "spectators",
    ) -> Vote:
        """Vote for a fighter ("A", "1", its persona, model or name) or "tie"; a voter's next vote replaces the one before.

        `round`: 0 for the first one; None: on the whole match. `source`: "owner" for whose match it is, by the name of its
        key ("" on this machine). Owners and spectators are kept apart. Raises InvalidRequest for what cannot be voted about (yet).
        """
        kept, store = self.find(match), self._house.matches
        cast = Vote(
            match=kept.match.id,
            voter=voter,
            source="owner" if sourced(source, "owner", "spectators") == "owner" else "spectators",
            round=round,
            choice=ballot.meant(kept.match, choice),
            at=wall(),
        )
        ballot.check(kept.match, kept.end, () if kept.end else store.events(kept.match.id), cast)
        store.vote(cast)
        if kept.state == "over":
            # The judges have said all that they say; where that is not kept yet, it is now.
            self._scores.record(kept.match.id, results.SOURCES if kept.due else ("owner", "spectators"))
        return cast

    def tally(self, match: str) -> tuple[Tally, ...]:
        """The votes on a match, counted: by source, each round and the whole."""
        kept = self.find(match)
        return results.tallies(kept.match, self._house.matches.votes(kept.match.id))

    # ratings

    def record(self, match: str) -> Recorded:
        """Keep what a match that is over says of its models; done when one ends, and harmless to do again.

        A task with `promote = "auto"` gets its new order now, if the evidence holds. That this cannot be is no error, but a warning.
        """
        kept = self.find(match)
        said = self._scores.record(kept.match.id)
        if not said or not self._scores.may_promote(kept.match.task):
            return Recorded(results=said)
        try:
            found = self.proposals(kept.match.task)
            change = self._scores.promote(found[0], "automatic") if found else None
        except ByteError as error:
            return Recorded(
                results=said, warning=f"The order of {kept.match.task} could not be changed. {error.message}"
            )
        return Recorded(results=said, change=change)

    def board(self, task: str = "", *, source: str = "judges", style: bool = True) -> Board:
        """How strong the models are, by one source. `task`: "" is all tasks together; `style`: at equal length and formatting."""
        return self._scores.board(task, source, style)

    def audit(self, task: str = "") -> Audit:
        """How the judges judge: flips, leanings, and how far they agree with each other and with people."""
        self._scores.catch_up()
        of = self._scores.named(task)
        store = self._house.matches
        people = [one for one in store.results(of) if one.source != "judges"]
        return audit(store.opinions(of), people)

    def next(
        self, task: str = "", count: int = 1, *, models: Iterable[str] = (), aim: str = "best"
    ) -> tuple[Pair, ...]:
        """The battles that would tell most now, among a task's models or those given, by the ids that they are rated under.

        `aim`: "best" finds the best one of them; "order" tests the task's first model against the others, which is what
        `proposals` waits for.
        """
        name, by_id = self._scores.listed(task or "general", models)
        return self._scores.next(name, tuple(by_id), count, aimed(aim))

    # what follows from them

    def explain(self, task: str) -> Order:
        """Why a task's models stand in their order, how they are rated, and what the next change waits for."""
        config, found = feedback.current(self._house, task)
        where = config.where.get(f"tasks.{found.name}", "shipped")
        rated = self._scores.rated(found.models)
        changes = self._house.matches.changes(found.name)
        change = feedback.in_force(changes, found.models)
        names, costs = self._scores.known(rated.values())
        rows = self._scores.results(found.name, "judges")[1]
        board = self.board(found.name)
        outlooks = promotion.outlooks(found.name, found.models, rows, change, now=wall(), rated=rated)
        order = Order(
            task=found.name,
            seats=seats(found.models, rated, names, costs, board, outlooks),
            whence=feedback.whence(self._house, found, change, changes),
            where="" if where == "shipped" else where,
            change=change if change is not None and change.after == found.models else None,
            promote=found.promote,
            proposal=self._scores.proposal(found, "judges"),
        )
        return replace(order, why=sentences(order))

    def proposals(self, task: str = "", *, source: str = "judges") -> tuple[Proposal, ...]:
        """The changes of order that the evidence speaks for now, one a task at most; `task`: "" is all of them."""
        config = self._house.reread()
        wanted = tuple(config.tasks.values()) if not task else (feedback.current(self._house, task)[1],)
        found = (self._scores.proposal(one, sourced(source)) for one in wanted)
        return tuple(one for one in found if one is not None)

    def promote(self, task: str, *, source: str = "judges") -> Change:
        """Make the change that is proposed for a task: its `models` in the settings file. Returns what was kept of it.

        Raises InvalidRequest where nothing is proposed, ConfigError where the file cannot be written.
        """
        found = self.proposals(task, source=source)
        if not found:
            order = self.explain(task)
            raise InvalidRequest(f"Nothing speaks for another order of {order.task} yet.", hint=order.why[1:])
        return self._scores.promote(found[0], "person")

    def undo(self, what: str | int, *, force: bool = False) -> Change:
        """Take back the last change of a task, or the one of this number; `force`: also where the order was changed by hand since."""
        return feedback.undo(self._house, what, force)

    def changes(self, task: str = "") -> tuple[Change, ...]:
        """Every change of a task's order, or of all, with its evidence; oldest first."""
        return self._house.matches.changes(self._scores.named(task))

    def run(
        self,
        prompts: str | Iterable[str],
        *,
        task: str = "general",
        models: Iterable[str] = (),
        battles: int = 20,
        budget: Decimal | str | None = None,
        judges: int | Iterable[str] = 3,
        max_tokens: int = 500,
        at_once: int = 2,
        aim: str = "best",
    ) -> Iterator[Progress]:
        """Hold battles, each of the pair that tells most then, and tell of each as it ends. Nothing begins before the first step.

        `prompts`: asked in turns (`tournament.prompts` reads a file of them). `models`: None given are the task's. `battles`:
        how many to begin; `budget`: USD that all together may cost; `at_once`: how many are held at the same time; `aim`: as
        for `next`. Whoever leaves the loop leaves battles that can be resumed. Raises what a battle raises.
        """
        asked = tournament.terms(prompts, task, models, battles, budget, judges, max_tokens, at_once, aim)
        return tournament.held(self._scores.field(asked), self._battle)


class AsyncLeague:
    """As `League`, awaited. What is read and written is read and written in a thread."""

    def __init__(self, house: House, battle: Callable[..., Any]) -> None:
        self._league = League(house, battle)
        self._battle = battle

    def __repr__(self) -> str:
        return repr(self._league).replace("League", type(self).__name__, 1)

    async def matches(
        self, limit: int = 50, *, before: str = "", owner: str | None = None
    ) -> tuple[Kept, ...]:
        """As `League.matches`."""
        return await _aside(self._league.matches, limit, before=before, owner=owner)

    async def find(self, match: str) -> Kept:
        """As `League.find`."""
        return await _aside(self._league.find, match)

    async def events(self, match: str, after: int = -1) -> tuple[Event, ...]:
        """As `League.events`."""
        return await _aside(self._league.events, match, after)

    async def forget(self, match: str) -> None:
        """As `League.forget`."""
        await _aside(self._league.forget, match)

    async def vote(
        self,
        match: str,
        choice: str,
        *,
        round: int | None = None,  # noqa: A002 (the word that everybody uses)
        voter: str = "",
        source: str = "spectators",
    ) -> Vote:
        """As `League.vote`."""
        return await _aside(self._league.vote, match, choice, round=round, voter=voter, source=source)

    async def tally(self, match: str) -> tuple[Tally, ...]:
        """As `League.tally`."""
        return await _aside(self._league.tally, match)

    async def record(self, match: str) -> Recorded:
        """As `League.record`."""
        return await _aside(self._league.record, match)

    async def board(self, task: str = "", *, source: str = "judges", style: bool = True) -> Board:
        """As `League.board`."""
        return await _aside(self._league.board, task, source=source, style=style)

    async def audit(self, task: str = "") -> Audit:
        """As `League.audit`."""
        return await _aside(self._league.audit, task)

    async def next(
        self, task: str = "", count: int = 1, *, models: Iterable[str] = (), aim: str = "best"
    ) -> tuple[Pair, ...]:
        """As `League.next`."""
        return await _aside(self._league.next, task, count, models=models, aim=aim)

    async def explain(self, task: str) -> Order:
        """As `League.explain`."""
        return await _aside(self._league.explain, task)

    async def proposals(self, task: str = "", *, source: str = "judges") -> tuple[Proposal, ...]:
        """As `League.proposals`."""
        return await _aside(self._league.proposals, task, source=source)

    async def promote(self, task: str, *, source: str = "judges") -> Change:
        """As `League.promote`."""
        return await _aside(self._league.promote, task, source=source)

    async def undo(self, what: str | int, *, force: bool = False) -> Change:
        """As `League.undo`."""
        return await _aside(self._league.undo, what, force=force)

    async def changes(self, task: str = "") -> tuple[Change, ...]:
        """As `League.changes`."""
        return await _aside(self._league.changes, task)

    async def run(
        self,
        prompts: str | Iterable[str],
        *,
        task: str = "general",
        models: Iterable[str] = (),
        battles: int = 20,
        budget: Decimal | str | None = None,
        judges: int | Iterable[str] = 3,
        max_tokens: int = 500,
        at_once: int = 2,
        aim: str = "best",
    ) -> AsyncIterator[Progress]:
        """As `League.run`; iterate with `async for`. Cancelling it leaves battles that can be resumed."""
        asked = tournament.terms(prompts, task, models, battles, budget, judges, max_tokens, at_once, aim)
        field = await _aside(self._league._scores.field, asked)
        async with aclosing(tournament.aheld(field, self._battle)) as held:
            async for one in held:
                yield one


async def _aside(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """In a thread."""
    import asyncio  # as in `async_client`

    return await asyncio.to_thread(function, *args, **options)
