"""Tool calls in an order in which one block after the other can tell them.

Calls may come mixed. The first one is told as it comes; another one waits until that one is whole, or for the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...types import ToolCallPart


class Waiting:
    """Which part of which call may be told now."""

    def __init__(self) -> None:
        self.is_hurt = False
        """Whether a call went on after its block was closed, so that what was told of it is not all."""
        self._open: int | None = None
        self._pieces: list[str] = []
        """Arguments of the open call so far."""
        self._closed: set[int] = set()
        self._held: dict[int, list[ToolCallPart]] = {}

    def take(self, part: ToolCallPart) -> ToolCallPart | None:
        """A part → itself where it may be told now: it has a name if it opens its call. None: it waits."""
        if part.index == self._open:
            self._pieces.append(part.arguments)
            return ToolCallPart(part.index, arguments=part.arguments)
        if part.index in self._closed:
            self.is_hurt = self.is_hurt or bool(part.arguments.strip())
            return None
        if part.name and not self._held and self._is_free():
            self._pieces = [part.arguments]
            return part
        self._held.setdefault(part.index, []).append(part)
        return None

    def open(self, index: int) -> None:
        """This call's block is open now."""
        self._open = index

    def close(self) -> None:
        """The open call's block was closed."""
        if self._open is not None:
            self._closed.add(self._open)
        self._open = None

    def rest(self) -> Iterator[ToolCallPart]:
        """The calls that waited, each in one part."""
        held, self._held = self._held, {}
        for index, parts in held.items():
            yield ToolCallPart(
                index,
                next((part.id for part in parts if part.id), f"call_{index}"),
                next((part.name for part in parts if part.name), ""),
                "".join(part.arguments for part in parts),
            )

    def _is_free(self) -> bool:
        """Whether no call is open that is not whole. Looked at once a call: from then on either it is closed, or others wait."""
        if self._open is None:
            return True
        try:
            msgspec.json.decode("".join(self._pieces))
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
            return False
        return True
