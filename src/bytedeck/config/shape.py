"""The nouns of the configuration: a task, a dead id's successor, the rules of `auto`, and `Config` itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from ..claims import Rules
from ..types import Model, Policy, Timeouts
from .secret import Secret

Promote = Literal["ask", "auto"]
"""Whether the arena may change a task's order by itself, once the evidence holds."""


class Task(Struct, frozen=True, kw_only=True):
    """A task type: which models answer it, in order, and what of ours goes along."""

    name: str
    """The canonical name: lower case, digits and underscores."""
    label: str
    description: str
    models: tuple[str, ...]
    """Ids or aliases, first choice first; never empty."""
    light: str = ""
    """A smaller model of the same kind, for a short and simple prompt; "" where there is none."""
    system: str = ""
    params: Mapping[str, Any] = {}
    """Request fields that fill absent ones."""
    aliases: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    """What in a prompt speaks for this task; only `auto` reads it."""
    timeouts: Timeouts = Timeouts()
    """Whole: the general timeouts with this task's own on top."""
    policy: Policy = Policy()
    """This task's own; what it leaves open is the general one's."""
    cache: float = 0.0
    """Seconds for which the gateway keeps its answers; 0: not at all."""
    promote: Promote = "ask"
    version: int = 1


class Successor(Struct, frozen=True, kw_only=True):
    """Who answers for an id that is no longer served."""

    id: str
    reason: str
    since: str
    """ISO date or month from which the id is dead; "" where it never lived."""


class Auto(Struct, frozen=True, kw_only=True):
    """When `task="auto"` takes the light model: a prompt up to so long, with none of these words in it."""

    simple_characters: int
    demanding: tuple[str, ...] = ()


class Arena(Struct, frozen=True, kw_only=True):
    """Who takes part in a debate besides its fighters, and whom they may play."""

    judges: tuple[str, ...] = ()
    """Models that a panel is chosen from, first choice first: ids or aliases."""
    commentator: str = ""
    """The model that sums up; "": nobody."""
    personas: Mapping[str, Mapping[str, str]] = {}
    """By the name that a person types: the fields `name`, `style` and `colour` of each."""


class Config(Struct, frozen=True, kw_only=True):
    """Everything that is configured, whole and checked. Its repr tells no values."""

    home: Path
    """Where the key, the ledger, the catalogue's copy and the local model live. May not exist yet."""
    file: Path
    """The user's TOML file. May not exist."""
    api_key: Secret | None
    key_source: str
    """Where the key came from, for a person; "" where there is none."""
    base_url: str
    """Without a trailing slash."""
    database_url: str
    app_url: str
    """`HTTP-Referer`; "" sends none."""
    app_title: str
    """`X-OpenRouter-Title`; "" sends none."""
    timeouts: Timeouts
    policy: Policy
    """Whole: every field is said."""
    key_policies: Mapping[str, Policy]
    """By the key's label in the ledger: what requests of this key do differently."""
    rules: Rules = Rules()
    """All limits and budgets."""
    limit_wait: float = 60.0
    """Seconds that an attempt waits for a limit, or for money that running ones hold, before it is refused; 0: none."""
    retries: int
    """How often one model is asked again at most, whatever the failure."""
    fallback_models: tuple[str, ...]
    """Asked after every chain that goes to OpenRouter; empty by default."""
    origins: frozenset[str] = frozenset()
    """Pages of the web that may use the gateway: `https://app.example.com`."""
    cache_size: str = "256 MB"
    """What all answers together may take that the gateway keeps (`measures.size`)."""
    ledger_required: bool
    """Whether a request is refused when its intent cannot be written."""
    tasks: Mapping[str, Task]
    """By canonical name, shipped ones first."""
    auto: Auto
    arena: Arena = Arena()
    local: Model
    """The model on this machine: its id, name and context."""
    aliases: Mapping[str, str]
    """Short names of models, shipped and the user's."""
    constants: Mapping[str, str]
    names: Mapping[str, str]
    """Display names by id."""
    prefill: Mapping[str, bool]
    """Whether a model takes an assistant turn as the beginning of its answer, where that is known."""
    successors: Mapping[str, Successor]
    warnings: tuple[str, ...] = ()
    """Sentences for a person; nothing is wrong enough to stop."""
    where: Mapping[str, str] = {}
    """Setting or `tasks.<name>` → where its value comes from."""

    def __repr__(self) -> str:
        return f"Config(home={str(self.home)!r}, tasks={list(self.tasks)})"
