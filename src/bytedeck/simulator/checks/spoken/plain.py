"""Bodies of chat completions, old completions, embeddings and rerank, as the fields of a `Call`; and what the skins share.

Types were checked before: what is read here may be trusted to have the described form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...shapes import Reasoning

_WEB = ("web_search", "openrouter:web_search")
"""Server tools whose type begins so search the web."""


def fields(body: dict[str, Any]) -> dict[str, Any]:
    """A chat body; its messages and tools are in the right shape already."""
    most = body.get("max_completion_tokens")
    return {
        **common(body),
        "messages": tuple(body["messages"]),
        "max_tokens": whole(body.get("max_tokens") if most is None else most),
        "tools": tuple(body.get("tools") or ()),
        "tool_choice": body.get("tool_choice"),
        "response_format": body.get("response_format"),
        "reasoning": _reasoning(body),
        "stop": _stop(body.get("stop")),
        "seed": whole(body.get("seed")),
        "modalities": tuple(body.get("modalities") or ("text",)),
    }


def legacy(body: dict[str, Any]) -> dict[str, Any]:
    """A body of the old completions: its prompt is a person's one message; there are no tools."""
    most = body.get("max_completion_tokens")
    return {
        **common(body),
        "messages": ({"role": "user", "content": body["prompt"]},),
        "max_tokens": whole(body.get("max_tokens") if most is None else most),
        "reasoning": _reasoning(body),
        "stop": _stop(body.get("stop")),
        "seed": whole(body.get("seed")),
    }


def common(body: dict[str, Any], fallbacks: Iterable[str] = ()) -> dict[str, Any]:
    """What all skins have that answer with words."""
    chain = (body.get("model"), *(body.get("models") or ()), *fallbacks)
    models = tuple(dict.fromkeys(slug for slug in chain if slug))
    return {"models": models, "stream": body.get("stream") is True, "plugins": plugins(body, models)}


def bare(body: dict[str, Any]) -> dict[str, Any]:
    """Embeddings and rerank: one model, never a stream."""
    return {"models": (body["model"],), "stream": False}


def plugins(body: Mapping[str, Any], models: Iterable[str]) -> tuple[str, ...]:
    """Ids of the plugins that run. `:online` and the web's server tools are told as "web"."""
    named = [each["id"] for each in body.get("plugins") or () if each.get("enabled") is not False]
    kinds = [str(tool.get("type", "")) for tool in body.get("tools") or ()]
    if any("online" in slug.split("@")[0].split(":")[1:] for slug in models) or any(
        kind.startswith(_WEB) for kind in kinds
    ):
        named.append("web")
    return tuple(dict.fromkeys(named))


def whole(value: float | None) -> int | None:
    """JSON Schema counts 5.0 as an integer; here it becomes one."""
    return None if value is None else int(value)


def _reasoning(body: Mapping[str, Any]) -> Reasoning:
    """`reasoning`, the short `reasoning_effort`, and the old `include_reasoning`, whose false means exclude."""
    wanted = body.get("reasoning") or {}
    return Reasoning(
        enabled=wanted.get("enabled"),
        effort=wanted.get("effort") or body.get("reasoning_effort"),
        max_tokens=whole(wanted.get("max_tokens")),
        exclude=wanted.get("exclude") is True or body.get("include_reasoning") is False,
    )


def _stop(value: str | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())
