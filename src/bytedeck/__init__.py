"""Bytedeck: name a task, the right model streams the answer, and the ledger knows what it cost.

from bytedeck import Hub

with Hub() as hub:
    for delta in hub.stream("Why is the sky blue?", task="general"):
        print(delta, end="", flush=True)
"""

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from . import models
    from .async_client import AsyncHub
    from .claims import Denied, Granted, Later
    from .client import Hub
    from .debates.adebate import AsyncDebate
    from .debates.debate import Debate
    from .errors import (
        AuthenticationFailed,
        BudgetExceeded,
        ByteError,
        CallerError,
        ContentFiltered,
        ContextTooLong,
        InsufficientCredits,
        LimitError,
        ModelUnavailable,
        NoWayToAnswer,
        RateLimited,
        StreamBroken,
        UnknownModel,
        UnknownTask,
        UpstreamError,
        UpstreamTimeout,
    )
    from .events import FellBack, Seam, Started, Waiting
    from .fighters import Fighter, Persona
    from .shared import chat, stream
    from .streams import AsyncStream, Stream
    from .types import Attempt, Delta, Policy, Reply, Timeouts, ToolCall, Usage

__all__ = [
    "AsyncDebate",
    "AsyncHub",
    "AsyncStream",
    "Attempt",
    "AuthenticationFailed",
    "BudgetExceeded",
    "ByteError",
    "CallerError",
    "ContentFiltered",
    "ContextTooLong",
    "Debate",
    "Delta",
    "Denied",
    "FellBack",
    "Fighter",
    "Granted",
    "Hub",
    "InsufficientCredits",
    "Later",
    "LimitError",
    "ModelUnavailable",
    "NoWayToAnswer",
    "Persona",
    "Policy",
    "RateLimited",
    "Reply",
    "Seam",
    "Started",
    "Stream",
    "StreamBroken",
    "Timeouts",
    "ToolCall",
    "UnknownModel",
    "UnknownTask",
    "UpstreamError",
    "UpstreamTimeout",
    "Usage",
    "Waiting",
    "chat",
    "models",
    "stream",
]

# Each name is fetched at its first use (PEP 562): `byte --help` needs none of them, and who only
# catches our errors need not load an engine for it.
_HOMES = {
    "claims": ("Denied", "Granted", "Later"),
    "client": ("Hub",),
    "async_client": ("AsyncHub",),
    "debates.adebate": ("AsyncDebate",),
    "debates.debate": ("Debate",),
    "fighters": ("Fighter", "Persona"),
    "shared": ("chat", "stream"),
    "streams": ("AsyncStream", "Stream"),
    "models": ("models",),
    "events": ("FellBack", "Seam", "Started", "Waiting"),
    "types": ("Attempt", "Delta", "Policy", "Reply", "Timeouts", "ToolCall", "Usage"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> _typing.Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME.get(name, "errors")
    module = _import_module(f".{home}", __name__)
    found = globals()[name] = module if name == home else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
