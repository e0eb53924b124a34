"""What a hub owns, for both its faces: configuration, ledger, catalogue, local model.

Nothing is opened before it is needed: a hub that was only made has touched no file but
the configuration's.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import MsgspecError, Struct, json
from msgspec.structs import replace

from . import arguments, pipeline
from .call import request as requests
from .callers import Caller
from .claims import Denied, Granted, Rules
from .codec import faults
from .config import Config, Secret, Task, load
from .config.measures import size
from .errors import (
    TABLE,
    ByteError,
    ConnectionFailed,
    InvalidRequest,
    StreamBroken,
    UpstreamTimeout,
    error_from,
)
from .health import Health, Standing
from .io.openrouter import TIMEOUT, Models, endpoint, get
from .io.store import Receiver, Store
from .io.stores import cache_path, open_keys, open_matches, open_store
from .io.watch import Watch
from .io.wire import Endpoint, Endpoints, Late, WireError
from .pipeline import Deck
from .route import resolve, tasks
from .route.choose import Chains
from .run import Run
from .standing import Explanation as Explanation
from .standing import Outlook as Outlook
from .standing import Standings, judged, standings
from .types import UNSAID, Ask, Failover, Message, Plan, Policy, Route, Timeouts

if TYPE_CHECKING:
    from .io.cache import Cache
    from .io.keys import Keys
    from .io.local import Local
    from .io.matches import Matches
    from .io.wire import Wire

_DAY = 24 * 60  # minutes
_WELL = Health()
# Nobody asks whether the local model could answer.
_NOT_LOCAL = (False, "")
# What only a stream takes; sent along as fields of the request they would do nothing.
_OF_STREAMS = frozenset({"can_erase", "on_chunk"})


class _Account(Struct):
    """The envelope of `GET /key`."""

    data: dict[str, Any]


_decode_account = json.Decoder(_Account, float_hook=Decimal).decode


class House:
    """One configuration and what belongs to it. Safe to use from several threads."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        database_url: str | None = None,
        home: str | Path | None = None,
        config: str | Path | None = None,
    ) -> None:
        """Arguments win over the environment, which wins over the file. Raises ConfigError."""
        given = {
            "OPENROUTER_API_KEY": api_key,
            "OPENROUTER_BASE_URL": base_url,
            "BYTE_DATABASE_URL": database_url,
            "BYTE_HOME": home,
            "BYTE_CONFIG": config,
        }
        _check_path("home", home)
        _check_path("config", config)
        env = dict(os.environ)
        if api_key is not None:
            env.pop("OPENROUTER_KEY", None)
        env |= {name: str(value) for name, value in given.items() if value is not None}
        self._env = env
        self.config: Config = load(env)
        self._secrets = _keys_of(self.config)
        """Every key that was ever used here: what an upstream repeats of one is cleaned, also once there is another."""
        self.store  # noqa: B018 - opens nothing yet, but a URL that cannot be meant is told now
        self.scripted = False
        """Whether a script answers instead of the upstreams (`Hub.testing`)."""
        self._deck: Deck | None = None
        """The last one that was dealt."""
        self.watch = Watch(self.store)
        """How models and keys are doing."""

    def reread(self) -> Config:
        """The configuration as the files have it now. Nothing changes by it. Raises ConfigError."""
        return load(self._env)

    def adopt(self, config: Config) -> bool:
        """Another configuration holds from now on, for what begins now; whether requests go elsewhere by it, or with
        another key. The ledger stays where it is."""
        old = self.config
        if config.database_url != old.database_url:
            told = "`ledger.url` has changed: the ledger moves once the process is started anew."
            config = replace(config, database_url=old.database_url, warnings=(*config.warnings, told))
        self._secrets = tuple(dict.fromkeys((*_keys_of(config), *self._secrets)))
        self.config = config
        self.__dict__.pop("key_label", None)
        if config.base_url != old.base_url:  # a catalogue belongs to its server
            self.__dict__.pop("models", None)
        return endpoint(config) != endpoint(old)

    @property
    def receiver(self) -> Receiver:
        """What takes the marks of an attempt. What a script does says nothing of the models."""
        return self.store if self.scripted else self.watch

    @cached_property
    def store(self) -> Store:
        """The ledger; its file is opened at the first row."""
        return open_store(self.config.database_url)

    @cached_property
    def keys(self) -> Keys:
        """The virtual keys, which stand beside the ledger."""
        return open_keys(self.config.database_url)

    @cached_property
    def matches(self) -> Matches:
        """The arena's matches, which stand beside the ledger."""
        return open_matches(self.config.database_url)

    @cached_property
    def cache(self) -> Cache:
        """The answers that the gateway keeps; its file, beside the ledger's, is opened at the first use."""
        from .io.cache import Cache

        return Cache(cache_path(self.config.database_url, self.config.home), size(self.config.cache_size))

    @cached_property
    def models(self) -> Models:
        """The catalogue."""
        return Models(self.config)

    @cached_property
    def local(self) -> Local:
        """The model on this machine."""
        from .io.local import Local

        return Local(self.config.home)

    @cached_property
    def key_label(self) -> str:
        """What the rows call the key: its last four signs, as OpenRouter's own pages do; "" without one."""
        key = self.config.api_key.reveal() if self.config.api_key is not None else ""
        return f"…{key[-4:]}" if len(key) > 16 else "…" if key else ""

    def ask(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str,
        model: str | Iterable[str],
        system: str,
        timeout: float | Timeouts | None,
        max_cost: Decimal | str | None,
        headers: Mapping[str, str] | None,
        params: dict[str, Any],
        streamed: bool,
        policy: Failover | Policy | None = None,
        can_erase: bool = True,
        caller: Caller | None = None,
    ) -> Ask:
        """What a caller's arguments mean. Raises InvalidRequest for what cannot be meant. `caller`: whose virtual key asks."""
        if params and (misplaced := _OF_STREAMS & params.keys()):
            raise InvalidRequest(f"{min(misplaced)} is for `stream`, which shows an answer while it comes.")
        return Ask(
            id=_request_id(),
            messages=arguments.messages(prompt, system),
            task=task,
            models=arguments.chain(params.pop("models", None) or model),
            params=params,
            key=self.key_label if caller is None else caller.name,
            upstream_key="" if caller is None else self.key_label,
            caller=caller,
            streamed=streamed,
            timeouts=arguments.timeouts(timeout) if isinstance(timeout, Timeouts) else None,
            total_timeout=None
            if timeout is None or isinstance(timeout, Timeouts)
            else arguments.seconds(timeout),
            max_cost_units=None if max_cost is None else arguments.max_cost(max_cost),
            headers=tuple(headers.items()) if headers else (),
            policy=UNSAID if policy is None else arguments.policy(policy),
            can_erase=can_erase is True or arguments.flag("can_erase", can_erase),
        )

    def deck(self, ask: Ask) -> Deck:
        """What a request that is about to be sent has to know.

        Of the models and keys that are half open it tries only what nobody else is trying.
        """
        deck = self.known(ask)
        return self._trying(ask, deck) if deck.health.due else deck

    def _trying(self, ask: Ask, deck: Deck) -> Deck:
        health = deck.health
        while True:
            try:
                first = pipeline.plan(ask, deck).candidates[0]
            except ByteError:  # the request will raise it
                return deck
            needs_key, key = first.route != "local", ask.upstream_key or ask.key
            if needs_key and _is_due(health.key(key)) and not self.watch.claim_key(key, ask.id):
                health = health.without_key(key)
            elif _is_due(health.model(first.model)) and not self.watch.claim_model(first.model, ask.id):
                health = health.without_model(first.model)
            else:
                return deck
            deck = replace(deck, health=health)

    @property
    def rules(self) -> Rules:
        """Limits and budgets. What a script does costs nothing, and waits for nobody."""
        return Rules() if self.scripted else self.config.rules

    def known(self, ask: Ask) -> Deck:
        """What is known at this moment: the last deck, for as long as nothing that it tells has changed.

        Looks at the local model only where it matters.
        """
        config, catalog, health, has_key = self.config, None, _WELL, True
        if self.scripted:
            config = replace(config, rules=self.rules)
        else:
            catalog, health, has_key = self.models.current(), self.watch.health(), config.api_key is not None
        local = _NOT_LOCAL
        # One search tells that no name is local, as hardly one is.
        if not has_key or ("local/" in "".join(ask.models) and _names_local(ask)):
            local = self._local_way()
        minutes = time.time() // 60 % _DAY
        last = self._deck
        # Whether there is a key stands in the configuration; a script has one of its own each time.
        if last is None or last.config is not config or last.catalog is not catalog:
            chains: Chains = {}
        elif local != (last.has_local, last.local_reason):
            chains = {}
        elif last.health is health and last.utc_minutes == minutes:
            return last
        else:
            chains = last.chains
        self._deck = Deck(
            config=config,
            catalog=catalog,
            has_key=has_key,
            has_local=local[0],
            local_reason=local[1],
            clean=self.clean,
            utc_minutes=int(minutes),
            health=health,
            chains=chains,
        )
        return self._deck

    def _local_way(self) -> tuple[bool, str]:
        """Whether the local model can answer, and why not, as it is said in the middle of a sentence."""
        status = self.local.status()
        # The status says it beside the model's name.
        reason = status.reason.replace("It ", "the local model ", 1)
        return status.ready, reason.replace("Its ", "the local model's ", 1)

    def explain(self, ask: Ask) -> Explanation:
        """Who would be asked, what it could cost, and what limits would say. Nothing is sent, taken or written."""
        deck = self.known(ask)
        requests.check(ask)
        chosen = pipeline.plan(ask, deck)
        run = Run(replace(ask, max_cost_units=None), deck, chosen, 0.0)  # what is too dear is told, too
        outlook, standing = self._outlook(run)
        outlooks = [outlook]
        while run.queue and not isinstance(outlook.verdict, Granted):
            outlook, _ = self._outlook(run)
            outlooks.append(outlook)
        return Explanation(
            plan=chosen,
            worst_units=outlooks[0].worst_units,
            prompt_bytes=outlooks[0].prompt_bytes,
            standing=standing,
            outlooks=tuple(outlooks),
        )

    def _outlook(self, run: Run) -> tuple[Outlook, Standings]:
        """What the next candidate would be told, and how what it comes under stands."""
        candidate = run.queue.popleft()
        amends = run.amends(candidate)
        job = run.job(candidate, amends)
        size = len(job.request.body)
        verdict, standing = judged(self.store, job.claim)
        capped = None
        if isinstance(verdict, Denied) and verdict.room and not run.queue:
            capped = run.purse.capped(candidate, amends, size, verdict.room)
        outlook = Outlook(
            model=candidate.model,
            name=candidate.name,
            worst_units=job.intent.worst_units,
            prompt_bytes=size,
            verdict=verdict,
            capped_at=capped.cap if capped else None,
        )
        return outlook, standing

    def standing(self) -> Standings:
        """How all limits and budgets stand, those of virtual keys, too. Blocks. Raises LedgerError."""
        return standings(self.store, self.rules, () if self.scripted else self.keys.list())

    def plan(self, ask: Ask) -> Plan:
        """Who would be asked, in order, and why. Nothing is sent, nothing is composed."""
        requests.check(ask)
        return pipeline.plan(ask, self.known(ask))

    def task(self, name: str) -> Task:
        """The task of this name or alias. Raises UnknownTask with the nearest names."""
        return tasks.find(self.config.tasks, name)

    def named(self, model: str) -> tuple[str, str]:
        """The id that a model's name stands for, and how a person calls it."""
        catalog = self.models.current()
        found = resolve.resolve(model, self.config, catalog).id
        return found, resolve.display_name(found, self.config, catalog)

    def account(self, wire: Wire) -> dict[str, Any]:
        """What OpenRouter knows of the key (`GET /key`, wire reference 8), amounts as Decimal. Blocks.

        Raises AuthenticationFailed and its like, ConnectionFailed, UpstreamTimeout.
        """
        try:
            status, body = get(wire, "/key", TIMEOUT)
        except Late as exc:
            raise UpstreamTimeout(TABLE["headers_timeout"].sentence) from exc
        except WireError as exc:
            raise ConnectionFailed(TABLE["connect_failed"].sentence, detail=self.clean(str(exc))) from exc
        if status != 200:
            fault = faults.from_response(status, {}, body)
            raise error_from(replace(fault, message=self.clean(fault.message)))
        try:
            return _decode_account(body).data
        except MsgspecError as exc:
            raise StreamBroken(TABLE["malformed"].sentence, code="malformed") from exc

    def endpoints(self) -> Endpoints:
        """Where requests go by the configuration of this moment, also when there is another one."""
        config = self.config
        # As long as the wire that asks: it is made anew when the key or the place changes.
        upstream = endpoint(config)
        return lambda route: upstream if route == "openrouter" else self.endpoint(route, config)

    def endpoint(self, route: Route, config: Config | None = None) -> Endpoint:
        """Where a route's requests go; starts the local model if it is the one."""
        if route == "openrouter":
            return endpoint(config or self.config)
        served = self.local.start()
        # Its server closes a stream's connection behind it without having said so: never to be used again.
        headers = (("authorization", f"Bearer {served.api_key}"), ("connection", "close"))
        return Endpoint(served.base_url, headers, is_here=True)

    def clean(self, text: str) -> str:
        """The text without our key, whatever form it has."""
        for key in self._secrets:
            text = text.replace(key.reveal(), repr(key))
        return text

    @contextmanager
    def scripting(self) -> Iterator[None]:
        """Within the block a script answers: no key is needed, and the rows and matches go to memory."""
        from .io.memory import MemoryStore
        from .io.memory_matches import MemoryMatches

        if self.scripted:
            raise RuntimeError("a script is being played already: one testing block at a time")
        own: dict[str, Any] = {
            name: self.__dict__.pop(name) for name in ("store", "matches") if name in self.__dict__
        }
        self.__dict__ |= {"store": MemoryStore(), "matches": MemoryMatches()}
        self.scripted = True
        try:
            yield
        finally:
            self.scripted = False
            del self.__dict__["store"], self.__dict__["matches"]
            self.__dict__ |= own

    def close(self) -> None:
        """Write what is still to be written, and end the local model."""
        self.watch.close()
        if "store" in self.__dict__:
            self.store.close()
        if "matches" in self.__dict__:
            self.matches.close()
        if "cache" in self.__dict__:
            self.cache.close()
        if "local" in self.__dict__:
            self.local.stop()


def _keys_of(config: Config) -> tuple[Secret, ...]:
    return () if config.api_key is None else (config.api_key,)


def _check_path(name: str, value: object) -> None:
    """A table that is given instead of a file would be looked for as one. Raises TypeError."""
    if not isinstance(value, str | os.PathLike | None):
        raise TypeError(f"{name} is a path in text, or a Path, and not a {type(value).__name__}")


def _names_local(ask: Ask) -> bool:
    return any(name.startswith("local/") for name in ask.models)


def _is_due(standing: Standing) -> bool:
    return standing.state == "half_open" and not standing.probing


def _request_id() -> str:
    """32 hex digits, the first 12 the time in milliseconds: rows that come together lie together in an index."""
    # Unique, not secret: no system call. Python seeds it anew in the child of a fork.
    return f"{time.time_ns() // 1_000_000 << 80 | random.getrandbits(80):032x}"
