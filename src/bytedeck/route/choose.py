"""Which models may answer a request, in which order, and why. Pure: it asks nobody.

Who names one model never gets another, unless the configuration adds `fallback_models`. A task's prompt and
parameters go along only where a task was named. The model on this machine answers a task where there is no key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..config import Config, Task
from ..errors import ContextTooLong, NoWayToAnswer
from ..guard import access
from ..health import Health
from ..types import Ask, Candidate, Model, Plan, Policy
from .auto import Verdict, classify
from .catalog import Catalog
from .fit import core, holds, least_tokens, room, size, too_long
from .order import by_health
from .resolve import BYTE, Named, check, display_name, is_plausible, resolve, takes_prefill
from .tasks import find

WAYS = (
    "Save a key from https://openrouter.ai/keys with: byte keys set",
    "Or install a small model on this machine (93 MB) with: byte local install",
)
_DEFAULT = "general"
_AUTO = "auto"
_WELL = Health()
_NO_WISH = Policy()


class _Wish(Struct, frozen=True):
    """One place of the chain before anyone asked who can fill it."""

    named: Named
    why: str
    explicit: bool
    """The caller's own choice, which nothing else may stand in for."""


class Chain(Struct, frozen=True):
    """What the names of a request come to, whatever else is in it."""

    plan: Plan
    """What holds where a request says nothing of its own: its policy is the task's and the general one."""
    room: float
    """Characters of a prompt that is too long for none of them."""


Chains: TypeAlias = dict[tuple[tuple[str, ...], str, tuple[tuple[str, ...], ...]], Chain]
"""What was worked out before, by the models and the task that a request names, and the rights of its key. Good for as long as the configuration,
the catalogue and what can be asked are the same ones; whoever keeps it sees to that."""

_MOST_CHAINS = 256


class _Deck(Struct, frozen=True):
    """What there is to answer with."""

    config: Config
    catalog: Catalog | None
    has_key: bool
    has_local: bool
    local_reason: str


def choose(
    ask: Ask,
    config: Config,
    catalog: Catalog | None,
    *,
    has_key: bool,
    has_local: bool,
    local_reason: str = "",
    health: Health = _WELL,
    chains: Chains | None = None,
) -> Plan:
    """The plan for a request; never one without a candidate.

    `local_reason` says why the model on this machine cannot answer, where `has_local` is false.
    `health`: how models and keys are doing, which may move a candidate behind the others. `chains`: see there.
    Raises UnknownTask, UnknownModel, NoWayToAnswer and ContextTooLong, each with what to do in `hint`;
    PermissionRefused where a virtual key may use neither task nor model; and the fault of the key (AuthenticationFailed, InsufficientCredits, …) where it was refused just before.
    """
    deck = _Deck(config, catalog, has_key, has_local, local_reason)
    chain = _chain_of(ask, deck, {} if chains is None else chains)
    plan, notes = chain.plan, list(chain.plan.notes)
    policy = _policy(ask, config, plan.policy)
    candidates = plan.candidates
    if ask.caller is not None:
        candidates = access.admitted(ask.caller, candidates, notes)
    if size(ask.messages) > chain.room:
        candidates = _fitting(ask, candidates, policy, deck, notes)
    candidates = by_health(candidates, health, ask.upstream_key or ask.key, notes)
    timeouts = ask.timeouts or plan.timeouts
    if ask.total_timeout is not None:
        timeouts = replace(timeouts, total=ask.total_timeout)
    if candidates is plan.candidates and timeouts is plan.timeouts and policy is plan.policy and not notes:
        return plan  # the request says no more than whom it asks, and all are well
    return replace(
        plan,
        candidates=candidates,
        timeouts=timeouts,
        policy=policy,
        notes=tuple(dict.fromkeys(notes)),
    )


def _chain_of(ask: Ask, deck: _Deck, chains: Chains) -> Chain:
    """The chain that a request names, from those that are known where it can be."""
    # What a virtual key may not use raises on the way, so its rights are a part of the question.
    rights = () if ask.caller is None else (ask.caller.models, ask.caller.tasks)
    asked = ask.models, ask.task, rights
    found = chains.get(asked)
    if found is not None:
        return found
    notes: list[str] = []
    names = [resolve(name, deck.config, deck.catalog) for name in ask.models]
    task, light, because = _task(ask, names, deck.config)
    wishes = _wishes(ask, names, task, light, because, deck)
    served = _served(list(wishes), deck, notes)
    candidates = tuple(_candidates(served, deck, notes))
    found = Chain(_usual(task, deck.config, candidates, notes), room(candidates))
    if len(chains) < _MOST_CHAINS and not _is_of_the_words(ask, names):
        chains[asked] = found
    return found


def _is_of_the_words(ask: Ask, names: list[Named]) -> bool:
    """Whether what is asked decides who answers it."""
    said = (ask.task, *(one.id.removeprefix(BYTE) for one in names if one.id.startswith(BYTE)))
    return any(one.strip().casefold() == _AUTO for one in said)


def _usual(task: Task | None, config: Config, candidates: tuple[Candidate, ...], notes: list[str]) -> Plan:
    """The plan for a request that says no more than whom it asks."""
    if task is None:
        return Plan(
            candidates=candidates,
            task="",
            timeouts=config.timeouts,
            policy=config.policy,
            notes=tuple(notes),
        )
    return Plan(
        candidates=candidates,
        task=task.name,
        system=task.system,
        defaults=task.params,
        timeouts=task.timeouts,
        policy=task.policy.over(config.policy),
        notes=tuple(notes),
    )


def _policy(ask: Ask, config: Config, below: Policy) -> Policy:
    """The request's word before the key's, a virtual one's before the upstream one's; the task's and the general one are
    `below` them."""
    found = ask.policy
    if config.key_policies:
        for key in dict.fromkeys((ask.key, ask.upstream_key)):
            if key in config.key_policies:
                found = found.over(config.key_policies[key])
    return below if found == _NO_WISH else found.over(below)


def _task(ask: Ask, names: list[Named], config: Config) -> tuple[Task | None, bool, str]:
    """The task whose prompt and parameters go along, whether its light model goes first, and why it is this one."""
    said = ask.task.strip() or next((one.id[len(BYTE) :] for one in names if one.id.startswith(BYTE)), "")
    if said:
        return _named_task(said, ask, config)
    if names:
        return None, False, ""
    access.admit_task(ask.caller, _DEFAULT)
    return config.tasks[_DEFAULT], False, "no task and no model was named"


def _named_task(said: str, ask: Ask, config: Config) -> tuple[Task, bool, str]:
    if said.casefold() == _AUTO:
        verdict: Verdict = classify(ask.messages, config.tasks, config.auto)
        access.admit_task(ask.caller, verdict.task.name)
        return verdict.task, verdict.light, verdict.why
    task = find(config.tasks, said)
    access.admit_task(ask.caller, task.name)
    return task, False, ""


def _wishes(
    ask: Ask, names: list[Named], task: Task | None, light: bool, because: str, deck: _Deck
) -> Iterator[_Wish]:
    """The chain as it was asked for."""
    if not names and task:
        yield from _chain(task, light, because, deck)
    for place, named in enumerate(names):
        if named.id.startswith(BYTE):
            yield from _chain(*_named_task(named.id[len(BYTE) :], ask, deck.config), deck)
        else:
            check(named.id, deck.config, deck.catalog)
            access.admit_named(ask.caller, named.id)
            yield _Wish(named, _why_named(named, place, len(names)), True)


def _chain(task: Task, light: bool, because: str, deck: _Deck) -> Iterator[_Wish]:
    """A task's models, in order, each once."""
    models = dict.fromkeys((task.light, *task.models) if light else task.models)
    for place, model in enumerate(models):
        named = resolve(model, deck.config, deck.catalog)
        first = "light model" if light else "first choice"
        why = f"{f'fall-back {place}' if place else first} for {task.name}"
        if because and not place:
            why += f": {because}"
        yield _Wish(named, _why_successor(why, named), False)


def _why_named(named: Named, place: int, of: int) -> str:
    if named.dead and of == 1:
        return _successor(named)
    why = f"you named it (as {named.said})" if named.said else "you named it"
    if of > 1:
        why += f", as fall-back {place}" if place else ", as first choice"
    return _why_successor(why, named)


def _why_successor(why: str, named: Named) -> str:
    return f"{why}; {_successor(named)}" if named.dead else why


def _successor(named: Named) -> str:
    return f"successor of {named.dead}, which is no longer served"


def _served(wishes: list[_Wish], deck: _Deck, notes: list[str]) -> list[_Wish]:
    """The wishes that somebody here can carry out, and the configured fall-backs after them."""
    local = [wish for wish in wishes if _is_local(wish, deck)]
    if not deck.has_local and local:
        if len(local) == len(wishes):
            raise _no_local(deck)
        notes.append(f"{deck.config.local.id} is skipped: {_reason(deck)}.")
        wishes = [wish for wish in wishes if not _is_local(wish, deck)]
        local = []
    if not deck.has_key:
        return _without_key(wishes, local, deck, notes)
    if len(local) < len(wishes):
        # A chain of the local model alone stays on this machine.
        for model in deck.config.fallback_models:
            named = resolve(model, deck.config, deck.catalog)
            wishes.append(_Wish(named, _why_successor("fall-back from your configuration", named), False))
    return wishes


def _without_key(wishes: list[_Wish], local: list[_Wish], deck: _Deck, notes: list[str]) -> list[_Wish]:
    """What is left of a chain without a key: the local model, named or standing in for a task's models."""
    if not local and all(wish.explicit for wish in wishes):
        raise _no_key(wishes[0].named.id, deck)
    notes.extend(
        f"{wish.named.id} is skipped: there is no OPENROUTER_API_KEY."
        for wish in wishes
        if wish.explicit and not _is_local(wish, deck)
    )
    if local:
        return local
    if not deck.has_local:
        raise NoWayToAnswer(f"There is no OpenRouter key, and {_reason(deck)}.", hint=WAYS)
    own = Named(deck.config.local.id, "")
    return [_Wish(own, "no OPENROUTER_API_KEY, so the model on this machine answers", False)]


def _candidates(wishes: list[_Wish], deck: _Deck, notes: list[str]) -> list[Candidate]:
    """One candidate for each model, in order."""
    found: dict[str, Candidate] = {}
    for wish in wishes:
        id_ = wish.named.id
        if id_ in found:
            continue
        if wish.named.note:
            notes.append(wish.named.note)
        if not wish.explicit and not is_plausible(id_, deck.config, deck.catalog):
            notes.append(f"The catalogue does not list {id_}, which your configuration names.")
        found[id_] = Candidate(
            model=id_,
            name=display_name(id_, deck.config, deck.catalog),
            route="local" if _is_local(wish, deck) else "openrouter",
            why=wish.why,
            info=_info(id_, deck),
            prefill=takes_prefill(id_, deck.config, deck.catalog),
        )
    first = next(iter(found.values()))
    if first.info and first.info.expiration_date:
        notes.append(f"{first.model} may be removed after {first.info.expiration_date}.")
    return list(found.values())


def _fitting(
    ask: Ask, chain: tuple[Candidate, ...], policy: Policy, deck: _Deck, notes: list[str]
) -> tuple[Candidate, ...]:
    """The candidates for which the prompt is not surely too long. Raises ContextTooLong if none is left."""
    long = too_long(ask.messages, chain, ask.params)
    if not long:
        return chain
    if len(long) == len(chain):
        return _shortened(ask, chain, policy, deck, notes)
    notes.extend(
        f"{one.model} is skipped: it holds {holds(one, ask.params):,} tokens, and the prompt has more."
        for one in long
    )
    return tuple(one for one in chain if one not in long)


def _shortened(
    ask: Ask, chain: tuple[Candidate, ...], policy: Policy, deck: _Deck, notes: list[str]
) -> tuple[Candidate, ...]:
    """Those that hold the prompt without its oldest messages, the roomiest first. Raises ContextTooLong."""
    never = too_long(core(ask.messages), chain, ask.params)
    can = [one for one in chain if one not in never]
    if not policy.compact or not can:
        need = least_tokens(ask.messages, local=chain[0].route == "local")
        raise _too_long(ask, chain[0], need, deck)
    notes.append("The prompt is longer than what any of the models holds: its oldest messages are left out.")
    return tuple(sorted(can, key=lambda one: -(holds(one, ask.params) or 0)))


def _too_long(ask: Ask, candidate: Candidate, need: int, deck: _Deck) -> ContextTooLong:
    limit = candidate.info.context_length if candidate.info else 0
    holding = [one.id for one in deck.catalog.fitting(need)][:3] if deck.catalog else []
    hint = [f"These would hold it: {', '.join(holding)}."] if holding else []
    if candidate.route == "local" and not deck.has_key:
        hint.append("Models at OpenRouter hold far more. " + WAYS[0])
    return ContextTooLong(
        f"The prompt is too long for {candidate.name}: it has at least {need:,} tokens"
        f" ({size(ask.messages):,} characters), and the model holds {limit:,}.",
        hint=hint or ("Shorten the prompt, or name a model with a longer context.",),
    )


def _is_local(wish: _Wish, deck: _Deck) -> bool:
    return wish.named.id == deck.config.local.id


def _info(id_: str, deck: _Deck) -> Model | None:
    if id_ == deck.config.local.id:
        return deck.config.local
    return deck.catalog.find(id_) if deck.catalog else None


def _reason(deck: _Deck) -> str:
    return deck.local_reason.rstrip(".") or "the model on this machine is not installed"


def _no_local(deck: _Deck) -> NoWayToAnswer:
    key = () if deck.has_key else (f"Or ask OpenRouter. {WAYS[0]}",)
    return NoWayToAnswer(
        f"{deck.config.local.id} cannot answer: {_reason(deck)}.",
        hint=("Install it with: byte local install", *key),
    )


def _no_key(model: str, deck: _Deck) -> NoWayToAnswer:
    own = f"Or let the model on this machine answer: -m {deck.config.local.id}" if deck.has_local else WAYS[1]
    return NoWayToAnswer(
        f"{model} is served by OpenRouter, and there is no OPENROUTER_API_KEY.", hint=(WAYS[0], own)
    )
