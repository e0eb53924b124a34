"""Files as parts of a message."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest

from bytedeck.cli import attach as attaching
from bytedeck.cli.attach import attach
from bytedeck.errors import InvalidRequest

PNG = b"\x89PNG\r\n\x1a\n\0\0"


@pytest.mark.parametrize(
    ("name", "data", "kind", "begins"),
    [
        ("a.png", PNG, "image_url", "data:image/png;base64,"),
        ("no-ending", PNG, "image_url", "data:image/png;base64,"),
        ("a.jpeg", b"\xff\xd8\xff\0", "image_url", "data:image/jpeg;base64,"),
        ("wrong.txt", b"GIF89a\0", "image_url", "data:image/gif;base64,"),
        ("a.webp", b"RIFF\0\0\0\0WEBP", "image_url", "data:image/webp;base64,"),
        ("a.mp4", b"\0\0\0\x18ftyp", "video_url", "data:video/mp4;base64,"),
    ],
)
def test_pictures_and_videos_are_data_urls(
    tmp_path: Path, name: str, data: bytes, kind: str, begins: str
) -> None:
    """What a file is shows in its first bytes, or else in its name; the bytes go whole."""
    (tmp_path / name).write_bytes(data)
    part = attach(str(tmp_path / name), b"").part
    assert part["type"] == kind
    url = part[kind]["url"]
    assert url.startswith(begins)
    assert b64decode(url.removeprefix(begins)) == data


def test_a_pdf_is_a_file_part(tmp_path: Path) -> None:
    """With its name, so that the model can call it by it."""
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    part = attach(str(tmp_path / "a.pdf"), b"").part
    assert part["type"] == "file"
    assert part["file"]["filename"] == "a.pdf"
    assert part["file"]["file_data"].startswith("data:application/pdf;base64,")


def test_sound_is_bare_base64_with_its_format(tmp_path: Path) -> None:
    """Sound has no URL form (wire reference, 3.1)."""
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    part = attach(str(tmp_path / "a.wav"), b"").part
    assert part["input_audio"]["format"] == "wav"
    assert b64decode(part["input_audio"]["data"]) == b"RIFF\0\0\0\0WAVE"


def test_text_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any text goes as text, whatever its name; bytes that are no UTF-8 are replaced and told."""
    (tmp_path / "a.rs").write_bytes(b"// caf\xe9")
    found = attach(str(tmp_path / "a.rs"), b"")
    assert found.is_text
    assert found.part == {"type": "text", "text": '<file name="a.rs">\n// caf�\n</file>'}
    assert "not valid UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://example.org/a.PNG?x=1", "image_url"),
        ("https://example.org/a.pdf#2", "file"),
        ("http://example.org/a.mov", "video_url"),
    ],
)
def test_an_address_goes_as_it_is(address: str, kind: str) -> None:
    """The upstream fetches it; we do not."""
    part = attach(address, b"").part
    assert part["type"] == kind
    assert address in str(part)


def test_what_is_piped_in(tmp_path: Path) -> None:
    """A dash stands for it."""
    assert attach("-", PNG).part["type"] == "image_url"
    with pytest.raises(InvalidRequest, match="piped in"):
        attach("-", b"")


def test_what_cannot_be_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, unreadable, empty, too large, of no known kind: each says which file and why."""
    (tmp_path / "blob").write_bytes(b"\0\1\2")
    (tmp_path / "empty").write_bytes(b"")
    for source, why in [
        (tmp_path / "nowhere", "no file"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "blob", "of no kind"),
        (tmp_path / "empty", "nothing in"),
        ("/dev/zero", "larger than 0 MB"),
        ("a\0b", "cannot be read"),
        ("https://example.org/page.html", "does not end like"),
    ]:
        if source == "/dev/zero":
            monkeypatch.setattr(attaching, "MOST", 1000)
        with pytest.raises(InvalidRequest, match=why) as caught:
            attach(str(source), b"")
        assert str(source).replace("\0", "\\x00") in caught.value.message
