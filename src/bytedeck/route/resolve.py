"""What a model's name stands for: an alias, a constant, a dead id's successor, or itself."""

from __future__ import annotations

from msgspec import Struct

from ..config import Config, fold, nearest, stands_for
from ..errors import UnknownModel
from .catalog import Catalog

BYTE = "byte/"
_LOCAL = "local/"
_ROUTER = "openrouter/"
# Variants that say how to route, not which model: a successor takes them over (wire reference, 10.1).
_DYNAMIC = (":nitro", ":floor", ":exacto", ":online")


class Named(Struct, frozen=True):
    """A name and what it stands for."""

    id: str
    """The id to send, or `byte/<task>`."""
    said: str
    """What the caller wrote, where that was something else; else ""."""
    dead: str = ""
    """The id whose successor this is; else ""."""
    note: str = ""
    """What the caller should be told."""


def resolve(name: str, config: Config, catalog: Catalog | None) -> Named:
    """A name as it was written → the id it stands for. Pure look-up: whether the id exists is not asked."""
    said = name.strip()
    target = stands_for(said, config.aliases, config.constants)
    if catalog is not None and target in catalog.by_id:
        return Named(target, said if target != said else "")
    dead, suffix = _dead(target, config)
    if not dead:
        return Named(target, said if target != said else "")
    successor = config.successors[dead]
    since = f", since {successor.since}" if successor.since else ""
    kept = suffix if suffix in _DYNAMIC else ""
    return Named(
        successor.id + kept,
        said if target != said else "",
        target,
        f"{target} is not served ({successor.reason}{since}); {successor.id}{kept} answers instead.",
    )


def concrete(id_: str, catalog: Catalog | None) -> str:
    """The model that an id means now: what an alias such as `~author/family-latest` leads to; else the id itself."""
    if catalog is None:
        return id_
    info = catalog.by_id.get(id_)
    target = info.alias_target if info is not None and info.alias_target else id_
    if target in catalog.by_id or target not in catalog.by_slug:
        return target
    return catalog.by_slug[target].id


def is_plausible(id_: str, config: Config, catalog: Catalog | None) -> bool:
    """Whether the upstream may know the id.

    With no catalogue at hand every `author/slug` may exist. With one, so may aliases, presets, routers
    and variants of what it lists: there the upstream is the judge.
    """
    if id_.startswith(_LOCAL):
        return id_ == config.local.id
    if "/" not in id_:
        return False
    if id_.startswith(("~", "@", _ROUTER)) or "@preset/" in id_ or catalog is None:
        return True
    return catalog.find(id_) is not None


def check(id_: str, config: Config, catalog: Catalog | None) -> None:
    """Raise UnknownModel, with the nearest names, for an id that surely is none."""
    if is_plausible(id_, config, catalog):
        return
    listed = tuple(
        one for one in (catalog.by_id if catalog else config.names) if one not in config.successors
    )
    if id_.startswith(_LOCAL):
        near: tuple[str, ...] = (config.local.id,)
    elif "/" in id_:
        near = nearest(id_, listed)
    else:
        # Who leaves out the author means the part after it.
        bare = tuple(one for one in listed if fold(one.partition("/")[2]) == fold(id_))
        alive = (name for name, target in config.constants.items() if target not in config.successors)
        tasks = (BYTE + task for task in config.tasks)
        near = (*bare, *nearest(id_, (*config.aliases, *alive, *tasks, *listed)))
    raise UnknownModel(
        f"There is no model {id_!r}." if id_ else "The model's name is empty.",
        hint=(f"Did you mean: {', '.join(tuple(dict.fromkeys(near))[:3])}?",) if near else (),
    )


def display_name(id_: str, config: Config, catalog: Catalog | None) -> str:
    """How a person calls the model; the id itself where nobody has named it."""
    if id_ == config.local.id:
        return config.local.name
    known = config.names.get(id_)
    if known:
        return known
    info = catalog.find(id_) if catalog else None
    return info.name if info else config.names.get(_base(id_), id_)


def takes_prefill(id_: str, config: Config, catalog: Catalog | None) -> bool | None:
    """Whether the model takes an assistant turn as the beginning of its answer; None: not known."""
    info = catalog.find(id_) if catalog else None
    behind = (info.alias_target or "") if info else ""
    return next((config.prefill[one] for one in (id_, _base(id_), behind) if one in config.prefill), None)


def _dead(id_: str, config: Config) -> tuple[str, str]:
    """The dead id that this is, or is a variant of, and the variant's suffix. `:free` never becomes a paid model."""
    if id_ in config.successors:
        return id_, ""
    base, mark, variant = id_.partition(":")
    if mark and variant != "free" and base in config.successors:
        return base, mark + variant
    return "", ""


def _base(id_: str) -> str:
    return id_.partition(":")[0].partition("@")[0] or id_
