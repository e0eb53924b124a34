"""How models and keys are doing: the frozen snapshot that the choice reads, and what it is folded from.

Times are whole microseconds since 1970 (UTC) in `Seen`, and seconds from the moment of the snapshot in `Standing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

State = Literal["closed", "open", "half_open"]
"""Of a breaker. `closed`: all is well. `open`: asked last, or not at all. `half_open`: one request may try."""

Lesson = Literal["no_prefill", "reasoning_mandatory"]
"""What a model's refusal teaches: it takes no beginning of its answer; its reasoning cannot be switched off."""


class Seen(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt as health sees it: begun, or begun and ended."""

    attempt: str
    model: str
    """The model that was asked."""
    key: str
    """Label of the key that asked; "" where there was none."""
    begun: int
    ended: int | None = None
    outcome: str = ""
    """`answered`, or a fault's code, or how else it ended; "" while it runs."""
    first_token: float | None = None
    """Seconds from dispatch to the first token."""
    seconds: float = 0.0
    tokens: int = 0
    """Of the answer, reasoning included."""


class Learnt(Struct, frozen=True, gc=False):
    """A model's refusal that will come again: it teaches something of the model."""

    model: str
    outcome: str
    at: int
    """When it last happened."""


class Standing(Struct, frozen=True, kw_only=True):
    """How one model, or one key, is doing. The figures are of the last five minutes."""

    state: State = "closed"
    probing: bool = False
    """Half open, and a request that tries is on its way."""
    failures: int = 0
    """In a row, up to now."""
    attempts: int = 0
    """Those that say something: neither abandoned, nor failed by somebody else's fault."""
    error_rate: float = 0.0
    """Which share of them failed, 0 to 1."""
    first_token_p50: float | None = None
    """Median of the seconds to the first token; None: not measured."""
    first_token_p95: float | None = None
    measured: int = 0
    """How many attempts these two are of."""
    tokens_per_second: float | None = None
    """From the first token to the last, over all answers together."""
    last_failure: str = ""
    """Code of the latest failure, a row of the table in `errors`; "" where there was none lately."""
    failed_ago: float | None = None
    """Seconds since then."""
    again_in: float | None = None
    """Seconds until a request may try; None: at once."""
    may_repeat: bool = True
    """Whether a request that failed here may ask here again: not where that would be the rule."""

    @property
    def is_avoided(self) -> bool:
        """Whether others are to be asked before this one."""
        if self.state == "half_open":
            return self.probing
        return self.state == "open" or not self.may_repeat


UNKNOWN = Standing()
"""Of whom nothing is known: all is well."""


class Health(Struct, frozen=True, kw_only=True):
    """A snapshot: models by the id that is asked, keys by their label. Who is not in it is `UNKNOWN`."""

    models: Mapping[str, Standing] = {}
    keys: Mapping[str, Standing] = {}
    learnt: Mapping[str, frozenset[Lesson]] = {}
    """What models have taught by refusing, by their id."""
    due: bool = False
    """Whether some model or key waits for a request that tries it."""
    calm: bool = False
    """Whether nobody in it is to be avoided, tried or counted: each is closed, and no failure is its last."""

    def model(self, id_: str) -> Standing:
        """How the model is doing."""
        return self.models.get(id_, UNKNOWN)

    def key(self, label: str) -> Standing:
        """How the key is doing."""
        return self.keys.get(label, UNKNOWN)

    def without_model(self, id_: str) -> Health:
        """The same, for a request that is not the one which may try this model."""
        return replace(self, models={**self.models, id_: replace(self.model(id_), probing=True)})

    def without_key(self, label: str) -> Health:
        """The same, for a request that is not the one which may try this key."""
        return replace(self, keys={**self.keys, label: replace(self.key(label), probing=True)})
