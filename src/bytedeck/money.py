"""Exact money: integers inside, decimal text at the edges, never a binary float.

One unit is 10⁻¹² USD. More decimals than twelve are rounded half-even; who needs
them keeps the provider's raw text.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

UNITS_PER_USD = 10**12

# Wide enough that no price times no token count is ever rounded by the context itself.
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_UNIT = Decimal(1).scaleb(-12)
_MOST = Decimal(10) ** 9


def to_units(amount: Decimal | str | int) -> int:
    """USD as a decimal → units. Raises ValueError for what is not a finite sum of money."""
    if type(amount) is str and amount.isascii():  # as costs come, and a tenth of the work
        whole, _, fraction = amount.partition(".")
        if whole.isdigit() and fraction.isdigit() and len(whole) < 10 and len(fraction) < 13:
            return int(whole + fraction.ljust(12, "0"))
    try:
        usd = Decimal(amount)
    except InvalidOperation:
        raise ValueError(f"not an amount of money: {amount!r}") from None
    if not usd.is_finite() or usd.copy_abs() > _MOST:  # `abs` would round, and overflow at 1e999999999
        raise ValueError(f"not an amount of money: {amount!r}")
    return int(usd.quantize(_UNIT, context=_CONTEXT).scaleb(12, context=_CONTEXT))


def to_usd(units: int) -> Decimal:
    """Units → USD, exact, without trailing zeros."""
    usd = Decimal(units).scaleb(-12, context=_CONTEXT).normalize(_CONTEXT)
    return usd if usd else Decimal(0)


def to_text(units: int) -> str:
    """Units → decimal text in USD, never in exponent form: `0.000093`."""
    return f"{to_usd(units):f}"


def spend(cost_units: int | None, upstream_units: int | None, is_byok: bool) -> int | None:
    """What a request cost in all: the charge, and the provider's bill where the key was one's own. None: not known."""
    if cost_units is None or not is_byok:
        return cost_units
    return cost_units + (upstream_units or 0)
