"""Agreement beyond chance, of ratings that are a loss, a tie or a win.

Cohen's weighted kappa (1968) with linear weights: a tie lies between the other two, so that a win against a loss is twice the
disagreement of a win against a tie. The interval is a jackknife over matches, as what is said in one match hangs together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import TypeAlias

from msgspec import Struct

GRADES = (0.0, 0.5, 1.0)
"""Lost, tied, won."""
Z95 = 1.959963984540054
_OPPOSED = ((0.0, 1.0), (1.0, 0.0))
_ALIKE = ((0.0, 0.0), (1.0, 1.0))

Judged: TypeAlias = tuple[float, float]
"""What the one and the other say of the same two fighters, each one of `GRADES`."""


class Kappa(Struct, frozen=True, kw_only=True):
    """Agreement beyond chance: 1 is perfect, 0 what chance gives, below 0 less than that."""

    value: float
    low: float
    high: float
    """The 95 % interval. It leaves room for what one match more could say, so that a few that agree are no proof."""
    same: float
    """The share that was judged exactly alike, chance included."""
    count: int
    """Pairs of fighters that both judged."""


def kappa(judged: Mapping[str, Iterable[Judged]]) -> Kappa | None:
    """The agreement, by match. None: nothing was judged by both, or both say one and the same of everything, which
    chance explains as well."""
    matches = [Counter(pairs) for pairs in judged.values()]
    whole: Counter[Judged] = sum(matches, Counter())
    value = _value(whole)
    if value is None:
        return None
    reach = Z95 * sqrt(_variance(matches, whole, value))
    # Half a pair each way round, so that it matters to nobody who is called the first.
    worse, better = (_value({**whole, **{at: whole[at] + 0.5 for at in more}}) for more in (_OPPOSED, _ALIKE))
    count = whole.total()
    return Kappa(
        value=value,
        low=max(-1.0, min(value - reach, value if worse is None else worse)),
        high=min(1.0, max(value + reach, value if better is None else better)),
        same=sum(whole[(grade, grade)] for grade in GRADES) / count,
        count=count,
    )


def _value(counts: Mapping[Judged, float]) -> float | None:
    """1 − the disagreement that there is / what chance would give."""
    count = sum(counts.values())
    one = {grade: sum(n for (a, _), n in counts.items() if a == grade) for grade in GRADES}
    other = {grade: sum(n for (_, b), n in counts.items() if b == grade) for grade in GRADES}
    chance = sum(one[a] * other[b] * abs(a - b) for a in GRADES for b in GRADES)
    found = sum(n * abs(a - b) for (a, b), n in counts.items())
    return 1 - found * count / chance if chance > 0 else None


def _variance(matches: list[Counter[Judged]], whole: Counter[Judged], value: float) -> float:
    """By leaving out one match at a time (Efron 1982, The Jackknife). Matches that say the same are left out only once."""
    kinds = Counter(tuple(sorted(one.items())) for one in matches)
    size, total, squares = len(matches), 0.0, 0.0
    for kind, often in kinds.items():
        without = dict(kind)
        left = _value({at: n - without.get(at, 0) for at, n in whole.items()})
        each = value if left is None else left
        total += often * each
        squares += often * each * each
    return max(0.0, squares - total * total / size) * (size - 1) / size


class Share(Struct, frozen=True, kw_only=True):
    """A mean of what lies between 0 and 1."""

    value: float
    low: float
    high: float
    """The 95 % interval: as if two were 0 and two were 1 besides (Agresti and Coull 1998), so that it has a width, too,
    where all are alike."""
    count: int
    """Matches."""


def share(found: Mapping[str, Sequence[float]]) -> Share:
    """The mean over the matches, at least one, of each match's own mean."""
    means = [sum(values) / len(values) for values in found.values()]
    value, more = sum(means) / len(means), [*means, 0.0, 0.0, 1.0, 1.0]
    middle = sum(more) / len(more)
    reach = Z95 * sqrt(sum((each - middle) ** 2 for each in more)) / len(more)
    return Share(
        value=value,
        low=max(0.0, min(middle - reach, value)),
        high=min(1.0, max(middle + reach, value)),
        count=len(means),
    )
