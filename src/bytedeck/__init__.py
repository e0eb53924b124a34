"""Bytedeck: name a task, the right model streams the answer, and the ledger knows what it cost.

from bytedeck import Hub

with Hub() as hub:
    for delta in hub.stream("Why is the sky blue?", task="general"):
        print(delta, end="", flush=True)
"""

from . import models
from .client import AsyncHub, Hub, chat, stream
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
from .streams import AsyncStream, Stream
from .types import Attempt, Delta, Reply, Timeouts, ToolCall, Usage

__all__ = [
    "AsyncHub",
    "AsyncStream",
    "Attempt",
    "AuthenticationFailed",
    "BudgetExceeded",
    "ByteError",
    "CallerError",
    "ContentFiltered",
    "ContextTooLong",
    "Delta",
    "Hub",
    "InsufficientCredits",
    "LimitError",
    "ModelUnavailable",
    "NoWayToAnswer",
    "RateLimited",
    "Reply",
    "Stream",
    "StreamBroken",
    "Timeouts",
    "ToolCall",
    "UnknownModel",
    "UnknownTask",
    "UpstreamError",
    "UpstreamTimeout",
    "Usage",
    "chat",
    "models",
    "stream",
]
