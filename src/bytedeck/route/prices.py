"""What a request costs or can cost at most, from listed prices alone. Exact: decimals in, integer units out.

The catalogue's price is that of a model's usual endpoint. A reservation that has to hold therefore sends the
same price along as `provider.max_price`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from functools import lru_cache

import msgspec

from ..money import to_units, to_usd
from ..types import Model, Price, PriceRule, Usage

# Wide enough that no price times no count is rounded, whatever context the caller's thread has.
_EXACT = Context(prec=60)
_NOTHING = Decimal(0)
_DAY = 24 * 60
# What an upstream's template and tool preamble add to the tokens of the body, at most: Anthropic's
# preamble for tools is 346 tokens; the JSON around the messages pays for their own marks.
_PREAMBLE = 512
# A price is fixed somewhere between the moment of asking and the end of the answer, by another clock.
_BEFORE, _AFTER = 2, 15


def price_at(model: Model, prompt_tokens: int, utc_minutes: int | None = None) -> Price | None:
    """The price that holds for a prompt of this length at this time of day (minutes after midnight, UTC).

    Without a time no daily window applies. None where the catalogue has no fixed price.
    """
    price = model.price
    if price is None:
        return None
    for rule in model.price_rules:
        if _applies(rule, prompt_tokens, utc_minutes):
            price = msgspec.structs.replace(price, **_named(rule.price))
    return price


def estimate(model: Model | None, usage: Usage, utc_minutes: int | None = None) -> int | None:
    """What this usage costs at the listed price, in units; None where that is not known."""
    price = None if model is None else price_at(model, usage.prompt_tokens, utc_minutes)
    if price is None or price.prompt is None or price.completion is None:
        return None
    cached, written, thought = usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    return _units(
        (max(0, usage.prompt_tokens - cached - written), price.prompt),
        (cached, _first(price.input_cache_read, price.prompt)),
        (written, _first(price.input_cache_write, price.prompt)),
        (max(0, usage.completion_tokens - thought), price.completion),
        # A listed 0 means "as any other token": reasoning is never free.
        (thought, price.internal_reasoning or price.completion),
        (usage.web_searches, price.web_search or _NOTHING),
        (1, price.request or _NOTHING),
    )


def worst_case(
    model: Model, body_bytes: int, max_tokens: int | None, at: int | None = None, *, searches: int = 0
) -> int | None:
    """What a request can cost at most, in units: a token is at least a byte, at the dearest price that applies.

    `body_bytes` is the length of the JSON body in UTF-8; `at` the time of day in minutes UTC (None: any);
    `searches` how many web searches may be billed. None where no listed price bounds it: a dynamic price,
    or no `max_tokens` and no known limit of the model. Pictures, sounds and files that a body only links
    to are not bounded by its bytes: ask with what they can cost on top.
    """
    given = max_tokens if max_tokens and max_tokens > 0 else None  # else it is refused, or the model's own
    longest = given or model.max_completion_tokens or model.context_length
    if longest is None or model.price is None:
        return None
    most = body_bytes + _PREAMBLE
    if not model.price_rules:
        return _at_most(model.price, most, longest, searches)
    costs = []
    for minute in _minutes(model.price_rules, at):
        for tokens in _lengths(model.price_rules, most):
            cost = _at_most(price_at(model, tokens, minute), tokens, longest, searches)
            if cost is None:
                return None
            costs.append(cost)
    return max(costs)


def dearest(model: Model, body_bytes: int, at: int | None = None) -> Model:
    """The model at the dearest price that may hold, item by item, and at no other; arguments as for `worst_case`.

    What is reserved is then the ceiling: in an hour of cheap prices, say, no other endpoint may take the dear ones.
    """
    if not model.price_rules or model.price is None:
        return model
    lengths = tuple(_lengths(model.price_rules, body_bytes + _PREAMBLE))
    found = [
        price_at(model, tokens, minute) for minute in _minutes(model.price_rules, at) for tokens in lengths
    ]
    items = {
        key: max((usd for price in found if (usd := getattr(price, key)) is not None), default=None)
        for key in Price.__struct_fields__
    }
    return msgspec.structs.replace(model, price=Price(**items), price_rules=())


def _at_most(price: Price | None, prompt: int, completion: int, searches: int) -> int | None:
    if price is None or price.prompt is None or price.completion is None:
        return None
    try:
        units = _whole_units(price)
        if units is None:  # a price finer than a unit: rounded once, at the end
            into, out, search, fee = _dearest_of(price)
            return _units((prompt, into), (completion, out), (searches, search), (1, fee))
    except ValueError:  # beyond any sum of money
        return None
    a_token_in, a_token_out, a_search, a_request = units
    return prompt * a_token_in + completion * a_token_out + searches * a_search + a_request


def _dearest_of(price: Price) -> tuple[Decimal, ...]:
    """The dearest price of a token in, of one out, of a search, and the fee."""
    return (
        _dearest(price.prompt, price.input_cache_read, price.input_cache_write, price.input_cache_write_1h),
        _dearest(price.completion, price.internal_reasoning),
        _dearest(price.web_search),
        _dearest(price.request),
    )


@lru_cache(maxsize=256)
def _whole_units(price: Price) -> tuple[int, ...] | None:
    """The dearest prices as units, where none of them has to be rounded."""
    prices = _dearest_of(price)
    units = tuple(to_units(price) for price in prices)
    return units if all(to_usd(one) == price for one, price in zip(units, prices, strict=True)) else None


def _lengths(rules: Iterable[PriceRule], most: int) -> Iterator[int]:
    """Between two thresholds the cost grows with the length, so the longest of each piece will do."""
    yield most
    for rule in rules:
        if rule.above_prompt_tokens is not None and 0 <= rule.above_prompt_tokens < most:
            yield rule.above_prompt_tokens


def _minutes(rules: Iterable[PriceRule], at: int | None) -> set[int]:
    """The moments at which a price may begin to hold, around the time of asking."""
    edges = {edge % _DAY for rule in rules for edge in (rule.utc_start, rule.utc_end) if edge is not None}
    if at is None or not edges:  # no window: any moment will do
        return edges | {0}
    begin = at - _BEFORE
    return {begin % _DAY, at} | {edge for edge in edges if (edge - begin) % _DAY <= _BEFORE + _AFTER}


def _applies(rule: PriceRule, prompt_tokens: int, minute: int | None) -> bool:
    if rule.above_prompt_tokens is not None and prompt_tokens <= rule.above_prompt_tokens:
        return False
    if rule.utc_start is None or rule.utc_end is None:
        return True
    if minute is None:
        return False
    if rule.utc_start <= rule.utc_end:
        return rule.utc_start <= minute < rule.utc_end
    return minute >= rule.utc_start or minute < rule.utc_end


def _named(price: Price) -> dict[str, Decimal]:
    return {key: value for key in Price.__struct_fields__ if (value := getattr(price, key)) is not None}


def _first(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price


def _dearest(*prices: Decimal | None) -> Decimal:
    dearest = _NOTHING
    for price in prices:
        if price is not None and price > dearest:
            dearest = price
    return dearest


def _units(*items: tuple[int, Decimal]) -> int:
    total = _NOTHING
    for count, price in items:
        if count and price:
            total = _EXACT.add(total, _EXACT.multiply(Decimal(count), price))
    return to_units(total)
