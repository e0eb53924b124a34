"""`openrouter_metadata`: how a request was routed, for who asks by header (wire reference, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from .shapes import Call, Model


class Attempt(Struct, frozen=True):
    """A provider that was asked, and what it said."""

    provider: str
    model: str
    status: int

    def told(self) -> dict[str, Any]:
        """As the metadata and `previous_errors` show it."""
        return {"provider": self.provider, "model": self.model, "status": self.status}


_STRATEGIES = {
    "openrouter/auto": "auto",
    "openrouter/auto-beta": "auto",
    "openrouter/free": "free",
    "openrouter/pareto-code": "pareto",
    "openrouter/bodybuilder": "bodybuilder",
    "openrouter/fusion": "fusion",
}
_TASKS = (
    "code:general_impl",
    "code:debugging",
    "qa_knowledge",
    "math",
    "customer_support",
    "research_report",
)


def wanted(headers: Mapping[str, str]) -> bool:
    """Whether the header asks for it, under its name or its old one; any value but "enabled" is no."""
    told = headers.get("x-openrouter-metadata", headers.get("x-openrouter-experimental-metadata", ""))
    return told.strip().lower() == "enabled"


def made(
    call: Call,
    asked: str,
    model: Model | None,
    available: Sequence[str],
    provider: str,
    attempts: Sequence[Attempt],
    is_byok: bool,
) -> dict[str, Any]:
    """The object. `attempts` are all of them, the one that answered last; none: no provider was reached."""
    requested = call.models[0] if call.models else "openrouter/auto"
    told: dict[str, Any] = {
        "requested": requested,
        "strategy": _strategy(requested, asked, model),
        "region": "iad",
        "summary": f"available={len(available)}" + (f", selected={provider}" if provider else ""),
        "attempt": len(attempts),
        "is_byok": is_byok,
        "endpoints": {
            "total": len(available),
            "available": [
                {"provider": name, "model": model.id if model else asked, "selected": name == provider}
                for name in available
            ],
        },
    }
    if attempts:
        told["attempts"] = [attempt.told() for attempt in attempts]
    if stages := _stages(call, requested):
        told["pipeline"] = stages
    return told


def _strategy(requested: str, asked: str, model: Model | None) -> str:
    if requested in _STRATEGIES:
        return _STRATEGIES[requested]
    if asked != requested:
        return "fallback"
    if asked.startswith("~"):
        return "latest"
    return "direct" if model is None or model.id == asked.partition(":")[0] or model.id == asked else "alias"


def _stages(call: Call, requested: str) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = []
    if requested in _STRATEGIES and _STRATEGIES[requested] == "auto":
        task = _TASKS[sum(call.raw) % len(_TASKS)]
        stages.append({"type": "plugin", "name": "auto-router", "data": {"task_type": task}})
    if "web" in call.plugins:
        stages.append({"type": "plugin", "name": "web", "summary": "1 search"})
    return stages
