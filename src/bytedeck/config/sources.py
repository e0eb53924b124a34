"""`load()`: the shipped data, the user's file and the environment become one checked `Config`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..claims import Rules
from ..errors import ConfigError
from ..types import Model, Policy, Timeouts
from . import measures
from .arena import ArenaTable, arena
from .document import Document, read
from .limits import AN_AMOUNT, PERIODS, WAIT, BudgetTable, LimitsTable, rules, whence, with_daily
from .names import key_label, nearest, stands_for
from .secret import Secret, clean_key, key_path, open_to_others
from .shape import Arena, Auto, Config, Successor
from .tables import Seconds, TaskTable, Text, registry

DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
DEFAULT_TITLE = "Bytedeck"
DEFAULT_RETRIES = 2
DEFAULT_CACHE = "256 MB"
DEFAULT_POLICY = Policy(failover="continue", hedge=False, compact=False, stream_tools=False)

_DATA = Path(__file__).parent.parent / "data"
_KEY = ("OPENROUTER_API_KEY", "OPENROUTER_KEY")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_T = TypeVar("_T")


class _OpenRouter(Struct, frozen=True, forbid_unknown_fields=True):
    base_url: str | UnsetType = UNSET
    app_url: str | UnsetType = UNSET
    app_title: str | UnsetType = UNSET


class _Ledger(Struct, frozen=True, forbid_unknown_fields=True):
    url: Text | UnsetType = UNSET
    required: bool | UnsetType = UNSET


class _Gateway(Struct, frozen=True, forbid_unknown_fields=True):
    origins: list[Text] | UnsetType = UNSET


class _KeyTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[keys.<label>]`."""

    policy: Policy = Policy()
    limits: dict[str, Any] = {}
    budget: dict[str, Any] = {}


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings file. A task's or a key's table is converted by itself, so that an error can say which it is."""

    openrouter: _OpenRouter = _OpenRouter()
    timeouts: Seconds = Seconds()
    ledger: _Ledger = _Ledger()
    gateway: _Gateway = _Gateway()
    policy: Policy = Policy()
    limits: LimitsTable = LimitsTable()
    budget: BudgetTable = BudgetTable()
    keys: dict[str, Any] = {}
    retries: Annotated[int, Meta(ge=0, le=10)] | UnsetType = UNSET
    fallback_models: list[Text] | UnsetType = UNSET
    cache_size: Text | UnsetType = UNSET
    aliases: dict[str, Any] = {}
    arena: ArenaTable = ArenaTable()
    tasks: dict[str, Any] = {}


class _Keys(Struct, frozen=True, forbid_unknown_fields=True):
    openrouter: str = ""


class Models(Struct, frozen=True, forbid_unknown_fields=True):
    """models.toml, whole."""

    local: Model
    constants: dict[str, str]
    names: dict[str, str]
    aliases: dict[str, str]
    prefill: dict[str, bool]
    successors: dict[str, Successor]


class Tasks(Struct, frozen=True, forbid_unknown_fields=True):
    """tasks.toml, whole."""

    params: dict[str, Any]
    auto: Auto
    tasks: dict[str, TaskTable]


@cache
def shipped_models() -> Models:
    """The models that the package knows by name. Read once in a process."""
    return msgspec.convert(_shipped("models.toml"), Models)


@cache
def shipped_tasks() -> Tasks:
    """The tasks that the package brings along. Read once in a process."""
    return msgspec.convert(_shipped("tasks.toml"), Tasks)


@cache
def shipped_arena() -> ArenaTable:
    """What the arena brings along. Read once in a process."""
    return msgspec.convert(_shipped("arena.toml"), ArenaTable)


def _shipped(name: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads((_DATA / name).read_text("utf-8"))


class _Sources:
    """The environment and the user's file; remembers what came from where and what is to be told."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.warnings: list[str] = []
        self.where: dict[str, str] = {}
        self.home = self._home()
        named = self.folder_of("BYTE_CONFIG")
        self.path = named or self.home / "config.toml"
        self.where["BYTE_CONFIG"] = "BYTE_CONFIG" if named else "default"
        self.document = read(self.path, required=named is not None)

    def _home(self) -> Path:
        named = self.folder_of("BYTE_HOME")
        self.where["BYTE_HOME"] = "BYTE_HOME" if named else "default"
        if named:
            return named
        import platformdirs

        return platformdirs.user_data_path("bytedeck")

    def folder_of(self, variable: str) -> Path | None:
        """The absolute path that a variable names; None where it is unset or blank."""
        text = self.env.get(variable, "").strip()
        try:
            return Path(text).expanduser().absolute() if text else None
        except (RuntimeError, OSError) as exc:
            raise ConfigError(f"{variable}: {text!r} is not a path that can be used: {exc}.") from exc

    def variable(self, *names: str) -> tuple[str, str] | None:
        """The first of these variables that says anything: its name and its text."""
        said = {name: text for name in names if (text := self.env.get(name, "").strip())}
        if len(set(said.values())) > 1:
            first, *others = said
            self.warnings.append(f"{first} and {', '.join(others)} differ; {first} is used.")
        return next(iter(said.items()), None)

    def value(self, name: str, from_file: _T | UnsetType, default: _T) -> _T:
        """A setting that only the file can make."""
        if isinstance(from_file, UnsetType):
            self.where[name] = "default"
            return default
        self.where[name] = self.document.place(tuple(name.split(".")))
        return from_file

    def text(self, name: str, variables: tuple[str, ...], from_file: str | UnsetType, default: str) -> str:
        """A setting that the environment or the file can make."""
        said = self.variable(*variables)
        if said is None:
            return self.value(name, from_file, default).strip()
        self.where[name] = said[0]
        return said[1]


def load(env: Mapping[str, str] | None = None) -> Config:
    """The whole configuration. `env` defaults to the process's environment.

    Reads the user's file and, where the environment has no key, the saved one; writes nothing.
    Raises ConfigError, telling file, line, path and what was expected; nothing is half-loaded.
    """
    sources = _Sources(os.environ if env is None else env)
    document = sources.document
    file = document.convert(document.data, _File)
    models, ship = shipped_models(), shipped_tasks()
    timeouts = _timeouts(sources, file)
    tasks, where = registry(ship.tasks, ship.params, timeouts, document)
    sources.where.update({f"tasks.{name}": source for name, source in where.items()})
    aliases = _aliases(document, models.aliases, models.constants)
    _check_models(document, aliases, models.constants)
    key = _key(sources)
    return Config(
        home=sources.home,
        file=sources.path,
        api_key=key,
        key_source=sources.where[_KEY[0]] if key else "",
        base_url=_base_url(sources, file),
        database_url=sources.text(
            "ledger.url", ("BYTE_DATABASE_URL",), file.ledger.url, f"sqlite://{sources.home / 'ledger.db'}"
        ),
        app_url=_header(
            sources, "openrouter.app_url", "OPENROUTER_HTTP_REFERER", file.openrouter.app_url, ""
        ),
        app_title=_header(
            sources, "openrouter.app_title", "OPENROUTER_APP_TITLE", file.openrouter.app_title, DEFAULT_TITLE
        ),
        timeouts=timeouts,
        policy=_policy(sources, file),
        key_policies={
            key_label(label) or label: document.convert(table, _KeyTable, "keys", label).policy
            for label, table in file.keys.items()
        },
        rules=_rules(sources, file, tuple(tasks)),
        limit_wait=sources.value("limits.wait", file.limits.wait, WAIT),
        retries=sources.value("retries", file.retries, DEFAULT_RETRIES),
        fallback_models=tuple(sources.value("fallback_models", file.fallback_models, [])),
        origins=_origins(sources, file),
        cache_size=_cache_size(sources, file),
        ledger_required=sources.value("ledger.required", file.ledger.required, False),
        tasks=tasks,
        auto=ship.auto,
        arena=_arena(sources, file),
        local=models.local,
        aliases=aliases,
        constants=models.constants,
        names=models.names,
        prefill=models.prefill,
        successors=models.successors,
        warnings=tuple(sources.warnings),
        where=sources.where,
    )


def _origins(sources: _Sources, file: _File) -> frozenset[str]:
    """As browsers write them: that is how they are compared."""
    found = frozenset(sources.value("gateway.origins", file.gateway.origins, []))
    for one in sorted(found):
        if not _ORIGIN.fullmatch(one):
            expected = (
                'expected origins such as "https://app.example.com", in small letters, without path and *'
            )
            raise sources.document.wrong(("gateway", "origins"), f"{expected}, and {one!r} is none")
    return found


def _arena(sources: _Sources, file: _File) -> Arena:
    found = arena(shipped_arena(), file.arena, sources.document)
    for name in ("judges", "commentator"):
        sources.value(f"arena.{name}", getattr(file.arena, name), "")
    return found


def _cache_size(sources: _Sources, file: _File) -> str:
    said = sources.value("cache_size", file.cache_size, DEFAULT_CACHE)
    try:
        measures.size(said)
    except ValueError as exc:
        raise sources.document.wrong(("cache_size",), str(exc)) from exc
    return said


def _timeouts(sources: _Sources, file: _File) -> Timeouts:
    for name in Timeouts.__struct_fields__:
        sources.value(f"timeouts.{name}", getattr(file.timeouts, name), 0.0)
    return file.timeouts.over(Timeouts())


def _policy(sources: _Sources, file: _File) -> Policy:
    for name in Policy.__struct_fields__:
        said = getattr(file.policy, name)
        sources.value(f"policy.{name}", UNSET if said is None else said, None)
    return file.policy.over(DEFAULT_POLICY)


def _rules(sources: _Sources, file: _File, tasks: tuple[str, ...]) -> Rules:
    """All limits and budgets of the file; the environment may set the daily budget, or lift it."""
    found = rules(sources.document, tasks)
    sources.where.update({f"limits.{name}": "default" for name in ("requests", "tokens", "per_model")})
    sources.where.update({f"budget.{name}": "default" for name in PERIODS})
    sources.where.update(whence(sources.document, tasks))
    said = sources.variable("BYTE_DAILY_BUDGET")
    if said is None:
        return found
    sources.where["budget.daily"] = said[0]
    try:
        return with_daily(found, said[1], file.budget)
    except ValueError as exc:
        raise ConfigError(f"{said[0]}: `budget.daily`: expected {AN_AMOUNT}; or off.") from exc


def _key(sources: _Sources) -> Secret | None:
    """The key of the environment, or else the saved one."""
    said = sources.variable(*_KEY)
    if said:
        sources.where[_KEY[0]] = said[0]
        return Secret(clean_key(said[1], said[0]))
    sources.where[_KEY[0]] = "none"
    path = key_path(sources.home)
    saved = read(path, required=False)
    key = clean_key(saved.convert(saved.data, _Keys).openrouter, str(path))
    if key and open_to_others(path):
        sources.warnings.append(f"Others on this machine can read {path}; run: chmod 600 {path}")
    if key:
        sources.where[_KEY[0]] = str(path)
    return Secret(key) if key else None


def _base_url(sources: _Sources, file: _File) -> str:
    from urllib.parse import urlsplit

    url = sources.text(
        "openrouter.base_url",
        ("OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"),
        file.openrouter.base_url,
        DEFAULT_BASE_URL,
    ).rstrip("/")
    where = sources.where["openrouter.base_url"]
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(f"{where}: `openrouter.base_url`: expected an address such as {DEFAULT_BASE_URL}.")
    if parts.query or parts.fragment or parts.username is not None:
        raise ConfigError(f"{where}: `openrouter.base_url`: expected an address without user, `?` and `#`.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        sources.warnings.append(f"{url} is not encrypted: your key and prompts can be read on the way.")
    return url


def _header(sources: _Sources, name: str, variable: str, from_file: str | UnsetType, default: str) -> str:
    """A setting that travels as a request header."""
    text = sources.text(name, (variable,), from_file, default)
    if any(ord(one) > 0xFF or not one.isprintable() for one in text):
        raise ConfigError(f"{sources.where[name]}: `{name}`: expected Latin letters and signs on one line.")
    return text


def _aliases(document: Document, ship: Mapping[str, str], constants: Mapping[str, str]) -> dict[str, str]:
    """Short names of models, the user's over ours; one that leads to no id is refused."""
    own = document.data.get("aliases", {})
    merged = {**ship, **own}
    for name, target in own.items():
        path = ("aliases", name)
        if not isinstance(target, str) or not target.strip():
            raise document.wrong(path, "expected a model id in quotes")
        if not name.strip() or name.startswith("byte/"):
            raise document.wrong(path, "expected a name that is not empty and does not begin with byte/")
    for name in own:
        end = stands_for(name, merged, constants)
        if "/" not in end:
            raise document.wrong(
                ("aliases", name), f"expected a model id such as author/name, and {end!r} is none"
            )
    return merged


def _check_models(document: Document, *tables: Mapping[str, str]) -> None:
    """What the file lists as models has to be ids, aliases or constants. Whether the ids exist is not asked."""
    listed: list[tuple[tuple[str, ...], list[str]]]
    listed = [(("fallback_models",), document.data.get("fallback_models", []))]
    arena = document.data.get("arena", {})
    listed.append((("arena", "judges"), arena.get("judges", [])))
    listed.append((("arena", "commentator"), [arena["commentator"]] if arena.get("commentator") else []))
    for name, task in document.data.get("tasks", {}).items():
        listed.append((("tasks", name, "models"), task.get("models", [])))
        listed.append((("tasks", name, "light"), [task["light"]] if task.get("light") else []))
    for path, models in listed:
        for model in models:
            if "/" not in stands_for(model.strip(), *tables):
                near = nearest(model, (name for table in tables for name in table))
                guess = f"; did you mean {near[0]!r}?" if near else ""
                raise document.wrong(path, f"{model!r} is neither a model id nor an alias{guess}")
