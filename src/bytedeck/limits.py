"""`hub.limits`, on both faces: whether a model may be asked now, and how all limits and budgets stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .claims import Verdict
from .house import Explanation, House
from .standing import Standings
from .types import Message

_A_WORD = "Hello!"


class Limits:
    """Limits and budgets of all who share the ledger. It only looks: nothing is taken or written."""

    def __init__(self, house: House, explain: Callable[..., Explanation]) -> None:
        self._house = house
        self._explain = explain

    def __repr__(self) -> str:
        return _shown(self, self._house)

    def check(
        self,
        model: str | Iterable[str] = "",
        *,
        task: str = "",
        prompt: str | Iterable[Message] = _A_WORD,
        **params: Any,
    ) -> Verdict:
        """What the limits would say to a request now: `Granted`, `Later` or `Denied`.

        It is reckoned for the first attempt of a request with these arguments, as `Hub.chat` takes them: by default a
        prompt of one word with the task's parameters, so the answer's `max_tokens` weighs most. `Later.wait` is in
        microseconds. By the time that the request is made others may have been faster; and what is denied for want of
        money may go out all the same, with fewer `max_tokens`, where these are not the caller's own.

        Raises what `Hub.explain` raises, such as UnknownModel, and LedgerError where a hard budget cannot be looked up.
        """
        return self._explain(prompt, model=model, task=task, **params).verdict

    def standing(self) -> Standings:
        """How everything that is configured stands: what is left of each limit, spent and held of each budget.

        Raises LedgerError where the ledger cannot be read.
        """
        return self._house.standing()


class AsyncLimits:
    """As `Limits`, awaited."""

    def __init__(self, house: House, explain: Callable[..., Awaitable[Explanation]]) -> None:
        self._house = house
        self._explain = explain

    def __repr__(self) -> str:
        return _shown(self, self._house)

    async def check(
        self,
        model: str | Iterable[str] = "",
        *,
        task: str = "",
        prompt: str | Iterable[Message] = _A_WORD,
        **params: Any,
    ) -> Verdict:
        """As `Limits.check`."""
        return (await self._explain(prompt, model=model, task=task, **params)).verdict

    async def standing(self) -> Standings:
        """As `Limits.standing`."""
        import asyncio

        return await asyncio.to_thread(self._house.standing)


def _shown(limits: Limits | AsyncLimits, house: House) -> str:
    return f"<{type(limits).__name__} of {house.config.file}: check(…), standing()>"
