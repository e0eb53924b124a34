"""One hub for everybody in the process: what `bytedeck.chat` and `bytedeck.stream` ask through."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from .client import Hub
from .streams import Stream
from .types import Message, Reply

_default: Hub | None = None
_default_lock = threading.Lock()


def default_hub() -> Hub:
    """The hub that `bytedeck.chat` and `bytedeck.stream` share, made from the environment at first use."""
    global _default
    with _default_lock:
        if _default is None:
            import atexit

            _default = Hub()
            atexit.register(_default.close)
        return _default


def chat(prompt: str | Iterable[Message], **options: Any) -> Reply:
    """`Hub.chat` on the shared hub."""
    return default_hub().chat(prompt, **options)


def stream(prompt: str | Iterable[Message], **options: Any) -> Stream:
    """`Hub.stream` on the shared hub."""
    return default_hub().stream(prompt, **options)
