"""A wrong body made small before it is explained: long lists come down to the first wrong item, long texts are cut.

The validator tells fast whether a body is valid, but explains every branch of every union at length: a body of ten
megabytes took it more than a minute. Valid bodies never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_FEW = 4
"""Lists up to this length stay as they are."""
_TEXT = 2048
"""Above every length that the description limits."""


class Narrowed:
    """A small body that is wrong in the same way as the given one, and the places of what was kept."""

    def __init__(self, is_valid: Callable[[Any], bool], body: Any) -> None:
        self._is_valid = is_valid
        self._kept: dict[Path, int] = {}
        self.body = _cut(body)
        self._visit((), self.body)

    def restored(self, path: Path) -> Path:
        """The path in the given body of what has `path` in the small one."""
        return tuple(
            part + self._kept.get(path[:at], 0) if isinstance(part, int) else part
            for at, part in enumerate(path)
        )

    def _visit(self, path: Path, value: Any) -> None:
        if isinstance(value, list):
            if len(value) > _FEW:
                self._shorten(path, value)
            for at, item in enumerate(value):
                self._visit((*path, at), item)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._visit((*path, key), item)

    def _shorten(self, path: Path, value: list[Any]) -> None:
        """One item is enough: any, where the body is wrong elsewhere; else the last of the shortest wrong prefix."""
        items = value[:]
        if not self._holds(value, items[:1]):
            return
        low, high = 1, len(items)  # items[:low] is valid, items[:high] is not
        while high - low > 1:
            middle = (low + high) // 2
            if self._holds(value, items[:middle]):
                low = middle
            else:
                high = middle
        if self._holds(value, items[low:high]):  # only together they are wrong: there are too many
            value[:] = items[:high]
        else:
            self._kept[path] = low

    def _holds(self, value: list[Any], items: list[Any]) -> bool:
        value[:] = items
        return self._is_valid(self.body)


def _cut(value: Any) -> Any:
    """A copy whose texts are short."""
    if isinstance(value, str):
        return value[:_TEXT]
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, dict):
        return {key[:_TEXT]: _cut(item) for key, item in value.items()}
    return value
