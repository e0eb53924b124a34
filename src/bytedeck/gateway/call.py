"""What all protocols of the gateway have in common: a call as a client made it, and how its answer is told.

A protocol (`chat`, `messages`, `responses`) turns bytes into a `Call` and an answer into bytes. It
does no I/O, knows no clock and no server; whoever serves it gives it moments and ids as data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from ..errors import ByteError
from ..types import Delta, Message, Reply


class Call(Struct, frozen=True, kw_only=True):
    """What a client asked for, in the terms of a chat: messages as `/chat/completions` has them."""

    messages: tuple[Message, ...]
    models: tuple[str, ...] = ()
    """As the client named them, in its order; empty where it named none."""
    params: Mapping[str, Any] = {}
    """Every other field in chat's own terms and the client's order; what we do not know is among them, untouched."""
    streamed: bool = False
    echo: Mapping[str, Any] = {}
    """What the answer has to repeat of the request, in the protocol's own terms."""


class Identity(Struct, frozen=True, kw_only=True, gc=False):
    """What an answer is called."""

    request: str
    """32 hex digits; ids of the protocol are made of it."""
    created: int
    """Seconds since 1970."""


class Teller(Protocol):
    """Tells one streamed answer. Each method returns what is to be written now, b"" for nothing."""

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """What came. The first call opens the stream in the protocol's own way."""

    def end(self, reply: Reply) -> bytes:
        """The whole answer is there: the finish reason, the usage of all attempts, the farewell."""

    def broke(self, error: ByteError) -> bytes:
        """It ended in an error after it had begun, told so that the protocol's clients raise it."""


class Skin(Protocol):
    """One protocol."""

    heartbeat: bytes
    """What may be written at any time before the end, and means nothing."""

    def read(self, body: bytes) -> Call:
        """Raises InvalidRequest for what is no call, with a sentence that names the field."""

    def whole(self, call: Call, reply: Reply, identity: Identity) -> bytes:
        """An answer that was not asked to stream, as the JSON body."""

    def teller(self, call: Call, identity: Identity) -> Teller:
        """Who tells a streamed answer."""

    def refusal(self, error: ByteError, identity: Identity) -> bytes:
        """An error before anything was told, as the JSON body; the status is the error's `http_status`."""
