"""Who judges: models of other families than the fighters', so that nobody judges its own kin."""

from __future__ import annotations

from collections.abc import Sequence

from ...call.family import family

LEAST = 3
"""Fewer judges may judge, and what they say rates nobody."""


def panel(fighters: Sequence[str], pool: Sequence[str], count: int) -> tuple[str, ...]:
    """Up to `count` models of the pool, in its order, one of each family that no fighter is of. All by their ids."""
    taken = {family(model) for model in fighters}
    chosen: list[str] = []
    for model in pool:
        if len(chosen) == count:
            break
        if family(model) not in taken:
            taken.add(family(model))
            chosen.append(model)
    return tuple(chosen)


def kin(fighters: Sequence[str], judges: Sequence[str]) -> tuple[str, ...]:
    """The judges that are of a fighter's family, by their ids: somebody named them, and may like to be told."""
    families = {family(model) for model in fighters}
    return tuple(judge for judge in judges if family(judge) in families)


def shortage(chosen: Sequence[str], count: int, pool: Sequence[str] | None = None) -> str:
    """A sentence for people where the pool had fewer families than were asked for; "" where it had enough.

    `pool`: those of it that can be asked at all, where that is known.
    """
    if len(chosen) >= count:
        return ""
    if pool is not None and not pool:
        return "None of arena.judges can be asked here, so nobody judges. Without an OpenRouter key nobody can be."
    found = f"{len(chosen)} judge{'' if len(chosen) == 1 else 's'}" if chosen else "no judge"
    return (
        f"The pool has {found} of another family than the fighters', where {count} were asked for. "
        "More can be named in arena.judges of the settings file."
    )
