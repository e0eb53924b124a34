"""Files as parts of a message (wire reference, 3.1): pictures, PDF, sound, video, and any text."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidRequest
from . import prompt

MOST = 32 << 20
"""Bytes of one file. Beyond that upstreams refuse the request, after it has been sent."""

Part = dict[str, Any]

_IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}
_VIDEOS = {"mp4": "video/mp4", "mpeg": "video/mpeg", "mov": "video/quicktime", "webm": "video/webm"}
_SOUNDS = ("wav", "mp3", "flac", "m4a", "ogg", "aac", "aiff")
_KINDS = f"pictures ({', '.join(_IMAGES)}), PDF, sound ({', '.join(_SOUNDS)}), video ({', '.join(_VIDEOS)}) and text"

# How a file begins that may have any name, or none.
_BEGINNINGS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "wav"),
    (re.compile(rb"%PDF-"), "pdf"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2]"), "mp3"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"OggS"), "ogg"),
)


class Attached(NamedTuple):
    """One attachment as a part of a message."""

    part: Part
    is_text: bool


def attach(source: str, fed: bytes) -> Attached:
    """The part for a path, an http(s) address, or "-": what is piped in.

    Raises InvalidRequest for what is missing, unreadable, too large or of no kind that models take.
    """
    if source.startswith(("http://", "https://")):
        return Attached(_linked(source), is_text=False)
    name, data = ("stdin", fed) if source == "-" else (Path(source).name, _read(source))
    if not data:
        raise InvalidRequest(
            f"There is nothing in {source}." if source != "-" else "Nothing is piped in for -a -."
        )
    kind = _kind(name, data)
    if kind in _IMAGES:
        return Attached(_url_part("image_url", _data_url(_IMAGES[kind], data)), is_text=False)
    if kind in _VIDEOS:
        return Attached(_url_part("video_url", _data_url(_VIDEOS[kind], data)), is_text=False)
    if kind in _SOUNDS:
        sound = {"data": b64encode(data).decode(), "format": kind}
        return Attached({"type": "input_audio", "input_audio": sound}, is_text=False)
    if kind == "pdf":
        return Attached(_pdf(name, _data_url("application/pdf", data)), is_text=False)
    return Attached(_text(source, name, data), is_text=True)


def _read(source: str) -> bytes:
    try:
        with Path(source).expanduser().open("rb") as file:
            data = file.read(MOST + 1)
    except FileNotFoundError as exc:
        raise InvalidRequest(f"There is no file {source!r} to attach.") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        why = getattr(exc, "strerror", None) or exc
        raise InvalidRequest(f"The attachment {source!r} cannot be read: {why}.") from exc
    if len(data) > MOST:
        raise InvalidRequest(
            f"The attachment {source!r} is larger than {MOST >> 20} MB, the most that is sent."
        )
    return data


def _kind(name: str, data: bytes) -> str:
    """What the file is, as the ending of a name: by how it begins, else by its name."""
    found = next((kind for beginning, kind in _BEGINNINGS if beginning.match(data)), "")
    return found or _ending(name)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _text(source: str, name: str, data: bytes) -> Part:
    if b"\0" in data:
        raise InvalidRequest(
            f"The attachment {source!r} is of no kind that can be sent.", hint=(f"Possible: {_KINDS}.",)
        )
    text = prompt.decoded(data, f"The attachment {source!r}")
    return {"type": "text", "text": f'<file name="{name}">\n{text}\n</file>'}


def _linked(address: str) -> Part:
    """A part that names an address, which the upstream fetches."""
    ending = _ending(re.split(r"[?#]", address, maxsplit=1)[0])
    if ending in _IMAGES:
        return _url_part("image_url", address)
    if ending in _VIDEOS:
        return _url_part("video_url", address)
    if ending == "pdf":
        return _pdf(re.split(r"[?#]", address, maxsplit=1)[0].rpartition("/")[2], address)
    raise InvalidRequest(
        f"The address {address!r} does not end like a picture, a PDF or a video.",
        hint=("Download it, and attach the file.",),
    )


def _pdf(name: str, data: str) -> Part:
    return {"type": "file", "file": {"filename": name, "file_data": data}}


def _url_part(kind: str, url: str) -> Part:
    return {"type": kind, kind: {"url": url}}


def _data_url(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{b64encode(data).decode()}"
