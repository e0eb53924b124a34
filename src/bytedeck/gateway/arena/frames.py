"""Events as the lines of an event stream (SSE). Pure."""

from __future__ import annotations

import json

import msgspec

from ...arena.events import Event, Words
from ...arena.show.record import plain

OPENING = b"retry: 1000\n\n"
"""Milliseconds after which a browser that was cut off comes back."""
BEAT = b":\n\n"
LEAVING = b"event: leaving\ndata: {}\n\n"
"""It is not over, and nothing more comes from here: whoever asks again goes on where he was."""
TOO_SLOW = b": you read too slowly; come back with Last-Event-ID\n\n"

_encode = msgspec.json.Encoder().encode


def id_of(seq: int, life: int) -> str:
    """What an event is called in the stream. `life`: how often the match had been taken up again by then; see `Standing.life`."""
    return f"{seq}-{life}"


def frame(event: Event, life: int, is_named: bool) -> bytes:
    """One event: its number and life as the id, its type as the name where names are wanted, itself as JSON."""
    name = f"event: {event.__struct_config__.tag}\n" if is_named else ""
    return f"id: {id_of(event.seq, life)}\n{name}data: ".encode() + as_json(event) + b"\n\n"


def as_json(event: Event) -> bytes:
    """An event in one line, by the names that a match has as a document; amounts are decimal text in USD."""
    found = event if isinstance(event, Words) else plain(event)  # words are what comes by the thousand
    try:
        return _encode(found)
    except UnicodeEncodeError:  # half a character can be named in JSON, and not written as UTF-8
        return json.dumps(msgspec.to_builtins(found)).encode()
