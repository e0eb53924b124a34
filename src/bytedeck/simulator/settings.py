"""How a simulator is to behave: everything that a caller, the command line or a test can choose, checked once."""

from __future__ import annotations

import math

from msgspec import Struct

from .errors import SimulatorError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_BODY = 32 * 1024 * 1024
"""Bytes of a request; more is a 413. What the real one allows is not documented."""


class Settings(Struct, frozen=True, kw_only=True):
    """All of it has a default with which nothing surprising happens: no waiting, no faults, real time."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    seed: str = "0"
    """From it and the prompt follows every word, id and chance."""
    tps: float = 0.0
    """Tokens a second of each answer; 0: as fast as the connection takes them."""
    ttft: float = 0.0
    """Seconds to the first token."""
    jitter: float = 0.0
    """How much a pause may differ from the regular one, as a share of it: 0 to 1."""
    scale: float = 1.0
    """What all pauses on the wire are multiplied with: 0.001 makes 20 s of them 0.02 s."""
    frozen: bool = False
    """The clock stands still until it is moved."""
    at: float | None = None
    """Where the clock begins, in seconds since 1970."""
    generation_delay: float = 1.0
    """Seconds on the clock until `GET /generation` knows a generation."""
    faults: str = ""
    """A fault for every request, or "random"."""
    rate: float = 0.1
    """How many of the requests a random fault hits: 0 to 1."""
    script: str = ""
    """A file with faults over time, TOML or JSON."""
    usage: str = "bare"
    """How a stream tells its usage: "bare" in a chunk without choices, "double" in a second finish chunk."""
    journal: int = 10_000
    """How many requests the journal keeps."""
    control_hosts: tuple[str, ...] = ()
    """Host names besides the loopback's that may use `/sim/…`."""
    words_from: str = ""
    """Base URL of an OpenAI-compatible server whose words are used instead of the simulator's own."""
    words_key: str = ""
    words_model: str = "default"


_SHARES = ("jitter", "rate")
_SECONDS = ("tps", "ttft", "scale", "generation_delay")


def check(settings: Settings) -> Settings:
    """The settings, if they can be meant. Raises SimulatorError with one sentence."""
    for name in (*_SHARES, *_SECONDS):
        value = getattr(settings, name)
        if not math.isfinite(value) or value < 0:
            raise SimulatorError(f"{name} is {value!r}, and has to be a number from 0.")
        if name in _SHARES and value > 1:
            raise SimulatorError(f"{name} is {value!r}, and has to be a share between 0 and 1.")
    if not 0 <= settings.port <= 65_535:
        raise SimulatorError(
            f"The port is {settings.port}, and has to be between 0 (any free one) and 65535."
        )
    if settings.journal < 1:
        raise SimulatorError(
            f"The journal is to keep {settings.journal} requests, and has to keep at least one."
        )
    if settings.usage not in ("bare", "double"):
        raise SimulatorError(f'usage is {settings.usage!r}, and has to be "bare" or "double".')
    if settings.words_from and not settings.words_from.startswith(("http://", "https://")):
        raise SimulatorError(
            f"{settings.words_from!r} is no base URL: it has to begin with http:// or https://."
        )
    return settings
