"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def as_json(text: str = "Print JSON.") -> Callable[[_F], _F]:
    """`--json`, as the parameter `json_`."""
    return click.option("--json", "json_", is_flag=True, help=text)
