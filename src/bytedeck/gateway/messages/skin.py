"""Anthropic's messages, as its own clients and OpenRouter's speak them (wire reference 6.5 and 9). Pure.

`request.py` reads a call, `answer.py` tells a whole answer, `events.py` one that comes.
"""

from __future__ import annotations

from ...errors import ByteError
from ...types import Reply
from ..call import Call, Identity, Teller
from ..parts import encode
from . import answer
from .count import count
from .events import Events
from .request import read_call

__all__ = ["Messages", "count"]


class Messages:
    """`Skin` of POST /messages."""

    heartbeat = b'event: ping\ndata: {"type":"ping"}\n\n'

    def read(self, body: bytes) -> Call:
        """Raises InvalidRequest for what is no call, with a sentence that names the field."""
        return read_call(body)

    def whole(self, call: Call, reply: Reply, identity: Identity) -> bytes:
        """An answer that was not asked to stream, as the JSON body."""
        return answer.body(call, reply, identity)

    def teller(self, call: Call, identity: Identity) -> Teller:
        """Who tells a streamed answer."""
        return Events(call, identity)

    def refusal(self, error: ByteError, identity: Identity) -> bytes:
        """An error before anything was told, as the JSON body; the status is the error's `http_status`."""
        return encode(answer.error(error, identity))
