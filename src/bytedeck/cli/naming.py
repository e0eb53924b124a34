"""Models in sentences of the core, which know them by their ids alone, called as a person calls them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..house import House

_ID = re.compile(r"~?\w[\w.-]*/\w(?:[\w.:-]*\w)?")


def named(house: House, text: str) -> str:
    """The text with each id of a known model replaced by the model's name."""
    from ..errors import CallerError

    def name(found: re.Match[str]) -> str:
        try:
            return house.named(found[0])[1]
        except CallerError:  # some other word with a stroke
            return found[0]

    return _ID.sub(name, text)
