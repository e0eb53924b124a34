"""What the platform publishes of itself: GET /classifications/task and GET /benchmarks.

All figures follow from the catalogue, so that the shares add up and the scores agree with `/models`. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..models.catalogue import Catalogue
from ..shapes import Model, Refusal

# Tag, what people read, usage and tokens (per mille of what is classified; each column adds up to 1000).
TASKS: tuple[tuple[str, str, int, int], ...] = (
    ("code:general_impl", "General implementation", 182, 205),
    ("code:debugging", "Debugging", 121, 150),
    ("code:refactoring", "Refactoring", 54, 70),
    ("code:review", "Code review", 43, 52),
    ("agent:multi_step_planning", "Multi-step planning", 97, 138),
    ("agent:web_search", "Web search", 66, 58),
    ("agent:tool_orchestration", "Tool orchestration", 61, 83),
    ("data:extraction", "Extraction", 77, 49),
    ("data:sql", "SQL", 34, 22),
    ("data:analysis", "Analysis", 41, 36),
    ("general:qa_knowledge", "Knowledge questions", 93, 41),
    ("general:roleplay", "Role-play", 72, 60),
    ("general:translation", "Translation", 38, 21),
    ("general:math", "Mathematics", 21, 15),
)
MACROS = {"code": "Code", "data": "Data", "agent": "Agents", "general": "General"}
CATEGORY = {"code": "programming", "agent": "programming", "data": "science", "general": "trivia"}
TOP = 5
SOURCES = {
    "artificial-analysis": ("https://artificialanalysis.ai", "Artificial Analysis"),
    "design-arena": ("https://www.designarena.ai", "Design Arena"),
    "openrouter": ("https://openrouter.ai/benchmarks", "OpenRouter"),
}
TASK_INDEX = {"coding": "coding_index", "intelligence": "intelligence_index", "agentic": "agentic_index"}
ARENA_CATEGORY = {"coding": "codecategories"}
CLASSIC = {"gpqa_diamond": ("intelligence_index", 198), "tau_bench_verified_airline": ("agentic_index", 50)}
SEARCHES = {
    "search_browsecomp": ("accuracy", 200),
    "search_hle": ("accuracy", 150),
    "search_dsqa": ("accuracy", 120),
    "search_widesearch": ("f1_by_item", 100),
}
SURFACES = {"server-tool": "exa", "plugin": "parallel"}


def classifications(catalogue: Catalogue, query: Mapping[str, str], now: float) -> dict[str, Any]:
    """GET /classifications/task: shares per task and macro-category, with each task's top models."""
    _choice("window", query.get("window") or "7d", ("7d",))
    items = [_task(catalogue, *task) for task in sorted(TASKS, key=lambda task: -task[2])]
    yesterday = datetime.fromtimestamp(now, UTC).date() - timedelta(days=1)
    macros = [
        {"key": key, "label": label, "usage_share": _share(key, 2, 1000), "token_share": _share(key, 3, 1000)}
        for key, label in MACROS.items()
    ]
    return {
        "data": {
            "as_of": yesterday.isoformat(),
            "window_days": 7,
            "classifications": items,
            "macro_categories": macros,
        }
    }


def _share(macro: str, column: int, whole: int) -> float:
    return _column(macro, column) / whole


def _column(macro: str, column: int) -> int:
    return sum(int(task[column]) for task in TASKS if task[0].startswith(macro + ":"))


def _task(catalogue: Catalogue, tag: str, name: str, usage: int, tokens: int) -> dict[str, Any]:
    macro = tag.split(":")[0]
    return {
        "tag": tag,
        "display_name": name,
        "macro_category": macro,
        "usage_share": usage / 1000,
        "token_share": tokens / 1000,
        "category_usage_share": usage / _column(macro, 2),
        "category_token_share": tokens / _column(macro, 3),
        "models": _top(catalogue, tag, CATEGORY[macro]),
    }


def _top(catalogue: Catalogue, tag: str, category: str) -> list[dict[str, Any]]:
    able = [
        row for row in _concrete(catalogue) if category in catalogue.facts(row).categories and not row.is_free
    ]
    weights = {
        row.canonical: catalogue.facts(row).weekly_tokens * (0.5 + _luck(tag + row.id)) for row in able
    }
    whole = sum(weights.values()) * 1.25  # a fifth goes to models that are not among the top
    best = sorted(weights, key=lambda name: -weights[name])[:TOP]
    return [
        {
            "id": name,
            "tag_usage_share": round(weights[name] / whole, 4),
            "tag_token_share": round(weights[name] / whole * 0.97, 4),
        }
        for name in best
    ]


def benchmarks(catalogue: Catalogue, query: Mapping[str, str], now: float) -> dict[str, Any]:
    """GET /benchmarks: scores by source, task type, benchmark, arena and category."""
    _check(query)
    wanted = query.get("source") or ""
    items = [
        item for name, make in MAKERS.items() if wanted in ("", name) for item in make(catalogue, query, now)
    ]
    most = query.get("max_results") or ""
    if most:
        if not most.isdecimal() or int(most) < 1:
            raise _wrong("max_results", most, "an integer of at least 1")
        items = items[: int(most)]
    url, who = SOURCES.get(wanted, (None, None))
    return {
        "data": items,
        "meta": {
            "version": "v1",
            "as_of": _day(now),
            "source": wanted or None,
            "source_url": url,
            "citation": f"Data by {who} ({url})" if who else None,
            "task_type": query.get("task_type") or None,
            "model_count": len({item["model_permaslug"] for item in items}),
        },
    }


def _check(query: Mapping[str, str]) -> None:
    closed: dict[str, Iterable[str]] = {
        "source": SOURCES,
        "task_type": (*TASK_INDEX, "search"),
        "benchmark_type": (*CLASSIC, *SEARCHES),
        "search_surface": SURFACES,
        "arena": ("models", "builders", "agents"),
        "include_run_config": ("true", "false"),
    }
    for name, known in closed.items():
        if query.get(name):
            _choice(name, query[name], tuple(known))


def _only_search(query: Mapping[str, str]) -> bool:
    return query.get("task_type") == "search" or query.get("benchmark_type", "").startswith("search_")


def _analysis(catalogue: Catalogue, query: Mapping[str, str], now: float) -> list[dict[str, Any]]:
    if _only_search(query):
        return []
    index = TASK_INDEX.get(query.get("task_type", ""), "intelligence_index")
    found = [
        {
            "source": "artificial-analysis",
            "model_permaslug": row.canonical,
            "display_name": row.name,
            "pricing": _pricing(row),
            **scores,
        }
        for row in _concrete(catalogue)
        if (scores := row.shown.get("benchmarks", {}).get("artificial_analysis"))
        and scores[index] is not None
    ]
    return sorted(found, key=lambda item: -item[index])


def _arena(catalogue: Catalogue, query: Mapping[str, str], now: float) -> list[dict[str, Any]]:
    kind = query.get("task_type", "")
    category = query.get("category") or ARENA_CATEGORY.get(kind, "")
    if _only_search(query) or (kind and kind not in ARENA_CATEGORY):
        return []
    found = [
        {
            "source": "design-arena",
            "model_permaslug": row.canonical,
            "display_name": row.name,
            "pricing": _pricing(row),
            "arena": entry["arena"],
            "category": entry["category"],
            "elo": entry["elo"],
            "win_rate": entry["win_rate"],
            "avg_generation_time_ms": catalogue.facts(row).latency * 20,
            "tournament_stats": _places(row.id),
        }
        for row in _concrete(catalogue)
        for entry in row.shown.get("benchmarks", {}).get("design_arena", [])
        if entry["arena"] == (query.get("arena") or "models") and category in ("", entry["category"])
    ]
    return sorted(found, key=lambda item: -item["elo"])


def _ours(catalogue: Catalogue, query: Mapping[str, str], now: float) -> list[dict[str, Any]]:
    asked, kind = query.get("benchmark_type", ""), query.get("task_type", "")
    classic = [
        _classic(row, benchmark, index, tasks, now)
        for benchmark, (index, tasks) in CLASSIC.items()
        if asked in ("", benchmark) and kind in ("", index.removesuffix("_index"))
        for row in _scored(catalogue, index)
    ]
    searches = [
        _search(row, benchmark, metric, tasks, surface, query, now)
        for benchmark, (metric, tasks) in SEARCHES.items()
        if asked in ("", benchmark) and kind in ("", "search")
        for surface, engine in SURFACES.items()
        if query.get("search_surface", surface) in ("", surface)
        and query.get("search_engine", engine) in ("", engine)
        for row in _scored(catalogue, "agentic_index")[:8]
    ]
    return classic + searches


def _classic(row: Model, benchmark: str, index: str, tasks: int, now: float) -> dict[str, Any]:
    return {
        "source": "openrouter",
        "model_permaslug": row.canonical,
        "display_name": row.name,
        "benchmark_type": benchmark,
        "accuracy": _accuracy(row, index, benchmark),
        "accuracy_stddev": round(0.01 + 0.02 * _luck(benchmark + row.id), 4),
        "avg_cost_per_task": round(0.01 + 0.1 * _luck("cost" + row.id), 4),
        "total_tasks": tasks,
        "last_run_timestamp": _day(now),
    }


def _search(
    row: Model, benchmark: str, metric: str, tasks: int, surface: str, query: Mapping[str, str], now: float
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "source": "openrouter",
        "model_permaslug": row.canonical,
        "display_name": row.name,
        "benchmark_type": benchmark,
        "primary_metric": metric,
        "primary_score": _accuracy(row, "agentic_index", benchmark + surface),
        "search_engine": SURFACES[surface],
        "search_surface": surface,
        "avg_cost_per_task": round(0.02 + 0.2 * _luck("cost" + surface + row.id), 4),
        "avg_latency_per_task_ms": round(9000 + 30000 * _luck("time" + surface + row.id), 1),
        "total_tasks": tasks,
        "last_run_timestamp": _day(now),
    }
    if query.get("include_run_config") == "true":
        turns = 20 if surface == "server-tool" else None
        item["run_config"] = {"max_agent_turns": turns, "reasoning_effort": "medium", "temperature": None}
    return item


MAKERS: dict[str, Callable[[Catalogue, Mapping[str, str], float], list[dict[str, Any]]]] = {
    "artificial-analysis": _analysis,
    "design-arena": _arena,
    "openrouter": _ours,
}


def _concrete(catalogue: Catalogue) -> list[Model]:
    """What answers itself, once per permanent slug: no aliases, no routers, no second entries."""
    found: dict[str, Model] = {}
    for row in catalogue.models:
        if not row.gone and not row.alias_target and not catalogue.facts(row).routes:
            found.setdefault(row.canonical, row)
    return list(found.values())


def _scored(catalogue: Catalogue, index: str) -> list[Model]:
    rows = [row for row in _concrete(catalogue) if _score(row, index) is not None]
    return sorted(rows, key=lambda row: -(_score(row, index) or 0))


def _score(row: Model, index: str) -> float | None:
    score: float | None = row.shown.get("benchmarks", {}).get("artificial_analysis", {}).get(index)
    return score


def _accuracy(row: Model, index: str, name: str) -> float:
    return round(min(0.97, (_score(row, index) or 0) / 75 + 0.08 * _luck(name + row.id)), 4)


def _pricing(row: Model) -> dict[str, str]:
    return {name: row.shown["pricing"][name] for name in ("prompt", "completion")}


def _places(name: str) -> dict[str, int]:
    places = [20 + int(100 * _luck(f"{name} {number}")) for number in range(4)]
    names = ("first_place", "second_place", "third_place", "fourth_place")
    return {**dict(zip(names, places, strict=True)), "total": sum(places)}


def _luck(name: str) -> float:
    """A number in [0, 1) that follows from the name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32


def _day(now: float) -> str:
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.isoformat().replace("+00:00", "Z")


def _wrong(name: str, value: str, expected: str) -> Refusal:
    return Refusal(
        400, f"Invalid value for query parameter '{name}': {value!r}. Expected {expected}", "invalid_request"
    )


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _wrong(name, value, "one of " + ", ".join(known))
