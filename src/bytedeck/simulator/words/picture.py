"""Pictures: a small PNG of one colour, made here, as a data URL."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from random import Random

TOKENS = 1_290
"""What a picture counts for as an answer, whatever is on it."""
_SIDE = 16


def png(red: int, green: int, blue: int) -> bytes:
    """A square of 16 by 16 pixels (PNG specification, 11.2)."""
    row = b"\0" + bytes((red, green, blue)) * _SIDE
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(row * _SIDE, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, data) for name, data in parts)


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def url(chance: Random) -> str:
    """A picture of a colour by chance, as a data URL."""
    colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
    return "data:image/png;base64," + b64encode(png(*colour)).decode()
