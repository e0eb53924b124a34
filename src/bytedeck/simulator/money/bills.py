"""What an answer costs. Pure: counts and prices in, a bill out.

Reasoning is part of the completion, cached and written tokens are part of the prompt, images part of the completion.
"""

from __future__ import annotations

from decimal import Decimal

from ..shapes import Bill, Counts, Price
from .generations import cache_write_cost

ZERO = Decimal(0)
NOTHING = Bill(cost=ZERO, upstream=ZERO)
"""Of a response-cache hit."""
BYOK_FEE = Decimal("0.05")
SEARCH = Decimal("0.007")
"""USD per search by OpenRouter's own engine, where the model has none of its own."""


def insured(counts: Counts, finish_reason: str | None) -> bool:
    """Zero-completion insurance: no tokens and a blank finish reason, or a finish reason of `error`."""
    return finish_reason == "error" or (counts.completion == 0 and not finish_reason)


def prompt_cost(counts: Counts, price: Price) -> Decimal:
    """What the prompt costs, cached parts at their own prices."""
    read = price.prompt if price.input_cache_read is None else price.input_cache_read
    fresh = counts.prompt - counts.cached - counts.cache_write
    return (
        fresh * price.prompt
        + counts.cached * read
        + cache_write_cost(counts, price)
        + counts.input_images * price.image
    )


def completion_cost(counts: Counts, price: Price) -> Decimal:
    """What the answer costs; reasoning and images at their own prices where the list has them."""
    reasoning = price.internal_reasoning or price.completion
    image = price.completion if price.image_output is None else price.image_output
    words = counts.completion - counts.reasoning - counts.images
    return words * price.completion + counts.reasoning * reasoning + counts.images * image


def bill(
    counts: Counts,
    price: Price,
    *,
    factor: Decimal = Decimal(1),
    finish_reason: str | None = "stop",
    byok: bool = False,
    allowance: Decimal = ZERO,
) -> Bill:
    """The bill of one answer.

    `factor` is that of the service tier. With one's own key (`byok`) the provider is paid elsewhere and the
    account only the fee on what lies above `allowance`, the list-price USD that are left of the month's.
    Searches are billed even where insurance lets the tokens go.
    """
    prompt = completion = request = ZERO
    if not insured(counts, finish_reason):
        prompt = prompt_cost(counts, price) * factor
        completion = completion_cost(counts, price) * factor
        request = price.request * max(1, counts.search_units)
    searches = counts.web_searches * (price.web_search or SEARCH)
    upstream = prompt + completion + request + searches
    fee = max(ZERO, upstream - max(ZERO, allowance)) * BYOK_FEE
    return Bill(
        cost=fee if byok else upstream,
        upstream=upstream,
        upstream_prompt=prompt,
        upstream_completion=completion,
        is_byok=byok,
    )
