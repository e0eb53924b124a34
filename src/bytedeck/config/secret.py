"""The API key: a type that prints as stars, and the file in which it is kept (0600).

The value leaves only through `reveal()`. No message of this module ever holds it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from ..errors import ConfigError
from .files import replace

_STARS = "********"
_ENTRY = "openrouter"


class Secret:
    """A text that repr, str, format, pickle and msgspec do not give away."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The text itself. For the moment at which it goes on the wire."""
        return self.__value

    def __repr__(self) -> str:
        return _STARS

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return _STARS

    def __eq__(self, other: object) -> bool:
        return self.__value == other.reveal() if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.__value)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not to be pickled")


def clean_key(text: str, source: str) -> str:
    """A key without the white space and line ends around it; "" if nothing is left.

    Raises ConfigError, naming `source`, for what could not be sent in a header.
    """
    key = text.strip().removeprefix("\ufeff").strip()
    for place, character in enumerate(key, start=1):
        if character.isspace():
            raise ConfigError(
                f"{source}: the key has white space inside it, at character {place}.", hint=_PASTE
            )
        if ord(character) > 0xFF or not character.isprintable():
            raise ConfigError(
                f"{source}: the key has a character that no key has (number {place}, U+{ord(character):04X}).",
                hint=_PASTE,
            )
    return key


_PASTE = ("Copy it again from https://openrouter.ai/keys and run: byte keys set",)


def key_path(home: Path) -> Path:
    """Where `save_key` keeps the key."""
    return home / "keys.toml"


def save_key(home: Path, key: str) -> Path:
    """Write the key, atomically, into a file that only its owner can read. Returns the file's path.

    Raises ConfigError for an empty or unsendable key and for a folder that cannot be written.
    """
    cleaned = clean_key(key, "the key")
    if not cleaned:
        raise ConfigError("The key is empty.", hint=_PASTE)
    path = key_path(home)
    escaped = cleaned.replace("\\", "\\\\").replace('"', '\\"')
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, f'{_ENTRY} = "{escaped}"\n'.encode())
    except OSError as exc:
        raise ConfigError(
            f"The key cannot be written to {path}: {exc.strerror or exc}.",
            hint=("Set BYTE_HOME to a folder that can be written, or set OPENROUTER_API_KEY instead.",),
        ) from exc
    return path


def remove_key(home: Path) -> bool:
    """Forget the saved key. Returns whether there was one."""
    try:
        key_path(home).unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise ConfigError(f"The key cannot be removed from {key_path(home)}: {exc.strerror or exc}.") from exc
    return True


def open_to_others(path: Path) -> bool:
    """Whether someone else on this machine could read the file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return os.name == "posix" and bool(stat.S_IMODE(mode) & 0o077)
