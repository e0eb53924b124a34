"""The audit of the judges as a table: shares and kappas, each with its 95 % interval, and what stands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...arena.show.text import one_line, plural
from .. import tell

if TYPE_CHECKING:
    from ...arena.judges.agreement import Audit, Judge
    from ...arena.judges.kappa import Kappa, Share

_HEADS = ("JUDGE", "PAIRS", "FLIPS", "TIES", "FIRST SIDE", "LONGER TEXT", "OTHERS (κ)", "PEOPLE (κ)")


def as_json(found: Audit) -> dict[str, Any]:
    """As the library has it."""
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(found)
    return told


def draw(found: Audit) -> None:
    """A line for each judge, and sentences below."""
    if not found.judges:
        tell.out('No judge has judged yet. Let some: byte debate "Is tea better than coffee?"')
        return
    tell.out(tell.table([_HEADS, *map(_row, found.judges)], right=(1,)))
    for name, kappa in (("Any two judges", found.panel), ("The panel and people", found.people)):
        if kappa is not None:
            tell.out(
                f"{name} agree by κ {_kappa(kappa)}; {kappa.same:.0%} of {plural(kappa.count, 'pair')} alike."
            )
    for judge in found.judges:
        for note in judge.notes:
            tell.note(f"{one_line(judge.judge)}: {one_line(note, 300)}")
    tell.say(
        "FIRST SIDE and LONGER TEXT: 50 % is no preference. κ: 1 is perfect, 0 is chance. In brackets: 95 %.",
        dim=True,
    )


def _row(one: Judge) -> tuple[str, ...]:
    return (
        one_line(one.judge),
        f"{one.pairs:,}",
        _share(one.flips),
        _share(one.ties),
        _share(one.first_side),
        _share(one.longer),
        _kappa(one.others),
        _kappa(one.people),
    )


def _share(one: Share | None) -> str:
    return "" if one is None else f"{one.value:.0%} ({one.low:.0%}–{one.high:.0%})"


def _kappa(one: Kappa | None) -> str:
    return "" if one is None else f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
