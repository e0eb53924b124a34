"""One question to the admin API, as its handlers get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ...callers import Caller
from ..visit import App


class Asked(Struct, frozen=True, kw_only=True):
    """What was asked, checked by the operation's shapes."""

    app: App
    caller: Caller | None
    """Whose key was shown; None where there are none."""
    names: Mapping[str, str]
    """What stands in the path where the template has a name."""
    query: Any
    body: Any
