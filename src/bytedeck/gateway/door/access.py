"""The virtual keys as the gateway knows them: a snapshot that is looked at again off the loop, and whose secret came.

A change takes effect within a second. Where the keys cannot be read the last snapshot holds; where they never could,
nobody comes in. Once there was a key there is no way back: a ledger that is lost, or emptied, opens nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ...callers import Caller, Ring
from ...errors import AuthenticationFailed, ByteError, LedgerError
from ...guard import access
from ...io.keys import Keys

FRESH = 1.0
"""Seconds after which a snapshot is looked at again before anybody comes in by it."""
APART = 0.1
"""Seconds between two looks for a secret that is not known."""
_PATIENCE = 0.25
"""Seconds that a request waits for a look, where there is a snapshot already."""

_FORM, _LONGEST = b"sk-byte-", 200
_HEADERS = (b"x-api-key", b"api-key")
_MISSING = "This gateway wants a key: send it as Authorization: Bearer, or as x-api-key."


class Access:
    """The keys' snapshot. Belongs to one event loop."""

    def __init__(self, keys: Keys) -> None:
        """Reads nothing yet."""
        self._keys = keys
        # Of its own: questions to the ledger, which any key may ask by the dozen, are not to hold up a revocation.
        self._thread = ThreadPoolExecutor(4, "bytedeck-keys")
        self._ring: Ring | None = None
        self.is_needed = False
        """Whether there has ever been a key, since this process began."""
        self._looked = 0.0
        """When the look began that the snapshot is of; where the store cannot be read, when that was last found."""
        self._began = 0.0
        """When the latest look began."""
        self._looking: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self.trouble: ByteError | None = None
        """Why the keys could not be read when they were last looked at."""

    def fresh(self) -> Ring | None:
        """The snapshot, where it is no older than it may be."""
        return self._ring if time.monotonic() - self._looked < FRESH else None

    async def current(self) -> Ring:
        """A snapshot as new as can be had. Raises LedgerError where there never was one."""
        found = self.fresh()
        if found is not None:
            return found
        look = self._looking or self._look()
        late = self._began + _PATIENCE - time.monotonic()
        await asyncio.wait({look}, timeout=None if self._ring is None else max(0.0, late))
        return self._known()

    async def again(self) -> Ring:
        """A snapshot of which the look began after this call; many who ask share one. Raises as `current`."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._later())
        await asyncio.wait({self._next}, timeout=None if self._ring is None else 2 * APART + _PATIENCE)
        return self._known()

    async def refresh(self) -> None:
        """Look now, and wait for it for a second at most. Raises nothing: what is in the way stands in `trouble`."""
        await asyncio.wait({self._look()}, timeout=FRESH)

    def close(self) -> None:
        """Look no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _known(self) -> Ring:
        if self._ring is None:
            raise LedgerError("The keys of this gateway cannot be read now.") from self.trouble
        return self._ring

    async def _later(self) -> None:
        await asyncio.sleep(max(0.0, self._began + APART - time.monotonic()))
        self._next = None  # whoever comes from now on needs a later look
        await asyncio.wait({self._look()})

    def _look(self) -> asyncio.Task[None]:
        self._began = time.monotonic()
        self._looking = asyncio.get_running_loop().create_task(self._take(self._began))
        return self._looking

    async def _take(self, began: float) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        except ByteError as error:
            self.trouble = error
            # The last snapshot holds: not every request has to try in vain.
            self._looked = max(began, self._looked)
        else:
            if began >= self._looked:  # one that began later may have come first
                self._ring, self._looked, self.trouble = found, began, None
                self.is_needed = self.is_needed or bool(found.callers)
        finally:
            if self._began == began:
                self._looking = None

    def _read(self) -> Ring:
        known = self._ring
        return known if known is not None and self._keys.version() == known.version else self._keys.load()


async def caller_of(ring: Access, headers: Mapping[bytes, bytes]) -> Caller:
    """Whose key a request shows. Raises AuthenticationFailed, each time with its sentence; the key is in none of them."""
    secret = access.digest(secret_in(headers))
    at = now()
    found = (ring.fresh() or await ring.current()).holder(secret, at)
    if found is None:
        at = now()
        found = (await ring.again()).holder(secret, at)
    if found is None:
        raise AuthenticationFailed("This key is not known here. Ask who runs this gateway for another one.")
    access.check(found, at)
    return found


def secret_in(headers: Mapping[bytes, bytes]) -> str:
    """The key that a request shows: of several the one in Authorization. Raises AuthenticationFailed."""
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    shown = rest.strip() if scheme.lower() == b"bearer" else b""
    for name in _HEADERS:
        shown = shown or headers.get(name, b"").strip()
    if not shown:
        raise AuthenticationFailed(_MISSING)
    if not shown.startswith(_FORM) or len(shown) > _LONGEST:
        raise AuthenticationFailed(f"This is no key of this gateway: those begin with {_FORM.decode()}.")
    return shown.decode("latin-1")


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
