"""GET /models: the documented filters, orders and pages, as tables. Pure: models and a query in, rows out.

Closed values (modalities, orders, categories, numbers) that are unknown are a 400; free ones match nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from ..shapes import Model, Refusal
from .facts import Facts

if TYPE_CHECKING:
    from collections.abc import Sequence

INPUTS = frozenset({"text", "image", "file", "audio", "video"})
OUTPUTS = frozenset({"text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription"})
CATEGORIES = frozenset(
    [
        "programming",
        "roleplay",
        "marketing",
        "marketing/seo",
        "technology",
        "science",
        "translation",
        "legal",
        "finance",
        "health",
        "trivia",
        "academia",
    ]
)
MILLION = Decimal(1_000_000)
DAY = 86_400


class Known(Protocol):
    """What the filters need of the catalogue."""

    models: tuple[Model, ...]

    def facts(self, model: Model) -> Facts: ...


def wrong(name: str, value: str, expected: str) -> Refusal:
    """The 400 for a filter's value."""
    return Refusal(
        400, f"Invalid value for query parameter '{name}': {value!r}. Expected {expected}", "invalid_request"
    )


def expired(model: Model, now: float) -> bool:
    """Whether its `expiration_date` has come."""
    date: str = model.shown.get("expiration_date") or ""
    return date != "" and now >= datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()


# Numbers of a model that bounds are compared with; None never passes one.
def _per_million(model: Model, name: str) -> Decimal | None:
    price = Decimal(model.shown["pricing"][name])
    return price * MILLION if price >= 0 else None


def _index(model: Model, name: str) -> Decimal | None:
    entry = model.shown.get("benchmarks", {}).get("artificial_analysis", {})
    return None if entry.get(name) is None else Decimal(str(entry[name]))


def _elo(model: Model) -> Decimal | None:
    return max(
        (Decimal(str(item["elo"])) for item in model.shown.get("benchmarks", {}).get("design_arena", [])),
        default=None,
    )


def _rate(facts: Facts) -> Decimal | None:
    return None if facts.tool_success_rate is None else Decimal(str(facts.tool_success_rate))


Figure = Callable[[Model, Facts, float], "Decimal | None"]
FIGURES: dict[str, Figure] = {
    "price": lambda model, facts, now: _per_million(model, "prompt"),
    "output_price": lambda model, facts, now: _per_million(model, "completion"),
    "age_days": lambda model, facts, now: Decimal(int((now - model.shown["created"]) // DAY)),
    "intelligence_index": lambda model, facts, now: _index(model, "intelligence_index"),
    "coding_index": lambda model, facts, now: _index(model, "coding_index"),
    "agentic_index": lambda model, facts, now: _index(model, "agentic_index"),
    "tool_success_rate": lambda model, facts, now: _rate(facts),
}
WHOLE = frozenset({"age_days"})
AT_MOST_ONE = frozenset({"tool_success_rate"})


def _number(name: str, text: str, *, whole: bool = False, low: int = 0, high: int | None = None) -> Decimal:
    expected = f"{'an integer' if whole else 'a number'} of at least {low}" + (
        f" and at most {high}" if high is not None else ""
    )
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise wrong(name, text, expected) from None
    if not value.is_finite() or value < low or (high is not None and value > high) or (whole and value % 1):
        raise wrong(name, text, expected)
    return value


def _names(name: str, text: str, known: frozenset[str] | None = None) -> frozenset[str]:
    values = frozenset(part.strip() for part in text.split(",") if part.strip())
    if known is not None and not values <= known:
        raise wrong(name, text, "a comma-separated list of " + ", ".join(sorted(known)))
    return values


def _one_of(name: str, text: str, known: Sequence[str] | frozenset[str]) -> str:
    if text not in known:
        raise wrong(name, text, "one of " + ", ".join(sorted(known)))
    return text


Test = Callable[[Model, Facts], bool]


def _outputs(text: str) -> Test:
    if text == "all":
        return lambda model, facts: True
    values = _names("output_modalities", text, OUTPUTS)
    return lambda model, facts: bool(values & model.output_modalities)


def _inputs(text: str) -> Test:
    values = _names("input_modalities", text, INPUTS)
    return lambda model, facts: values <= model.input_modalities


def _parameters(text: str) -> Test:
    values = _names("supported_parameters", text)
    return lambda model, facts: values <= model.parameters


def _category(text: str) -> Test:
    _one_of("category", text, CATEGORIES)
    return lambda model, facts: any(mine == text or mine.startswith(text + "/") for mine in facts.categories)


def _search(text: str) -> Test:
    words = text.lower().split()
    return lambda model, facts: all(word in f"{model.id} {model.name}".lower() for word in words)


def _context(text: str) -> Test:
    least = _number("context", text, whole=True, low=1)
    return lambda model, facts: model.context_length >= least


def _arch(text: str) -> Test:
    return lambda model, facts: (
        str(model.shown["architecture"].get("tokenizer")).lower().startswith(text.lower())
    )


def _authors(text: str) -> Test:
    values = _names("model_authors", text)
    return lambda model, facts: model.id.lstrip("~").split("/")[0] in values


def _providers(text: str) -> Test:
    values = frozenset(name.lower() for name in _names("providers", text))
    return lambda model, facts: any(name.lower() in values for name in model.providers)


def _distillable(text: str) -> Test:
    wanted = _one_of("distillable", text, ("true", "false")) == "true"
    return lambda model, facts: facts.distillable is wanted


def _zdr(text: str) -> Test:
    _one_of("zdr", text, ("true",))
    return lambda model, facts: facts.zdr


def _region(text: str) -> Test:
    _one_of("region", text, ("eu", "us"))
    return lambda model, facts: text in facts.regions


FILTERS: dict[str, Callable[[str], Test]] = {
    "output_modalities": _outputs,
    "input_modalities": _inputs,
    "supported_parameters": _parameters,
    "category": _category,
    "q": _search,
    "context": _context,
    "arch": _arch,
    "model_authors": _authors,
    "providers": _providers,
    "distillable": _distillable,
    "zdr": _zdr,
    "region": _region,
}


def _average(model: Model) -> Decimal | None:
    prompt, completion = _per_million(model, "prompt"), _per_million(model, "completion")
    return None if prompt is None or completion is None else (prompt + completion) / 2


Measure = Callable[[Model, Facts], "Decimal | float | None"]
# Order -> what is compared, and whether the greatest comes first. Who has no figure comes last.
ORDERS: dict[str, tuple[Measure, bool]] = {
    "most-popular": (lambda model, facts: facts.weekly_tokens, True),
    "top-weekly": (lambda model, facts: facts.weekly_tokens, True),
    "newest": (lambda model, facts: model.shown["created"], True),
    "pricing-low-to-high": (lambda model, facts: _average(model), False),
    "pricing-high-to-low": (lambda model, facts: _average(model), True),
    "context-high-to-low": (lambda model, facts: model.context_length, True),
    "throughput-high-to-low": (lambda model, facts: facts.throughput, True),
    "latency-low-to-high": (lambda model, facts: facts.latency, False),
    "intelligence-high-to-low": (lambda model, facts: _index(model, "intelligence_index"), True),
    "coding-high-to-low": (lambda model, facts: _index(model, "coding_index"), True),
    "agentic-high-to-low": (lambda model, facts: _index(model, "agentic_index"), True),
    "design-arena-elo-high-to-low": (lambda model, facts: _elo(model), True),
}


def _bounds(query: Mapping[str, str], now: float) -> list[Test]:
    tests: list[Test] = []
    for name, figure in FIGURES.items():
        limits: dict[str, Decimal] = {}
        for side in ("min", "max"):
            if (text := query.get(f"{side}_{name}", "")) != "":
                high = 1 if name in AT_MOST_ONE else None
                limits[side] = _number(f"{side}_{name}", text, whole=name in WHOLE, high=high)
        if limits:
            tests.append(_within(figure, limits, now))
    return tests


def _within(figure: Figure, limits: dict[str, Decimal], now: float) -> Test:
    def test(model: Model, facts: Facts) -> bool:
        value = figure(model, facts, now)
        return value is not None and limits.get("min", value) <= value <= limits.get("max", value)

    return test


def select(known: Known, query: Mapping[str, str], now: float, *, unlisted: bool = False) -> list[Model]:
    """The models that a query asks for, in its order. Gone and expired ones are never among them."""
    asked = {"output_modalities": "text", **{name: text for name, text in query.items() if text != ""}}
    tests = [make(asked[name]) for name, make in FILTERS.items() if name in asked]
    tests += _bounds(asked, now)
    rows = [
        model
        for model in known.models
        if (model.is_listed or unlisted)
        and not model.gone
        and not expired(model, now)
        and all(test(model, known.facts(model)) for test in tests)
    ]
    if "sort" not in asked:
        return rows
    measure, downwards = ORDERS[_one_of("sort", asked["sort"], frozenset(ORDERS))]
    return _ordered([(measure(row, known.facts(row)), row) for row in rows], downwards)


def _ordered(rows: list[tuple[Decimal | float | None, Model]], downwards: bool) -> list[Model]:
    measured = [(figure, row) for figure, row in rows if figure is not None]
    measured.sort(key=lambda pair: pair[0], reverse=downwards)  # stable: ties keep the file's order
    return [row for _, row in measured] + [row for figure, row in rows if figure is None]


def page(rows: Sequence[Model], query: Mapping[str, str], path: str) -> dict[str, Any]:
    """The answer's body. Pages only where `offset` or `limit` ask for them; default 500, at most 1000."""
    total, following = len(rows), None
    if query.get("offset") or query.get("limit"):
        offset = int(_number("offset", query.get("offset") or "0", whole=True))
        limit = int(_number("limit", query.get("limit") or "500", whole=True, low=1, high=1000))
        rows = rows[offset : offset + limit]
        if offset + limit < total:
            following = f"{path}?{urlencode({**query, 'offset': offset + limit, 'limit': limit})}"
    return {"data": [row.shown for row in rows], "total_count": total, "links": {"next": following}}
