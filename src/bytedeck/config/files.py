"""Files that are replaced in one step, and never readable by others in between."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """The old file or the new one, never a half, also after a crash. Raises OSError; then the old one stands.

    What is no file, as /dev/null, is never replaced by one.
    """
    with staged(path, data, mode):
        pass


@contextlib.contextmanager
def staged(path: Path, data: bytes, mode: int = 0o600) -> Iterator[None]:
    """As `replace`, with a block in between: the new file is on the disk, and takes the old one's place when the block
    has ended. If the block raises, the old one stands."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    try:
        handle = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode != 0o600:
            scratch.chmod(mode)
        yield
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
