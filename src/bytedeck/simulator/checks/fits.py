"""Whether a model can take a call: its window, its features, its providers under the call's preferences, its history.

Pure: looks at the call, the model and the count of the prompt's tokens. Source: the wire reference, 3, 7 (D23 to D26) and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ..refusals.named import invalid, make
from ..shapes import Call, Model, Price, Refusal
from .history import replays
from .rules import price as priced

_MILLION = Decimal(1_000_000)
_COMPRESSED = 8192
"""Endpoints up to this window compress a prompt that is too long, unless told not to."""
_SHORTEST = 16
"""The least that OpenAI's own Responses API generates."""

_PARAMETERS: dict[str, str] = {
    **{
        key: key
        for key in (
            "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty", "repetition_penalty",
            "seed", "logit_bias", "logprobs", "top_logprobs", "stop", "tools", "tool_choice", "response_format",
            "structured_outputs", "reasoning", "include_reasoning", "reasoning_effort", "verbosity", "max_tokens",
            "web_search_options", "parallel_tool_calls",
        )
    },
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "thinking": "reasoning",
}  # fmt: skip
"""Keys of a body, and what `supported_parameters` calls them."""
_ALIKE: dict[str, frozenset[str]] = {
    "max_tokens": frozenset({"max_tokens", "max_completion_tokens"}),
    "reasoning_effort": frozenset({"reasoning_effort", "reasoning"}),
    "response_format": frozenset({"response_format", "structured_outputs"}),
}

_PARTS: dict[str, tuple[str, str]] = {
    "image_url": ("image", "image input"),
    "input_audio": ("audio", "audio input"),
    "video_url": ("video", "video input"),
    "input_video": ("video", "video input"),
}
"""Parts of messages: the modality, and what OpenRouter calls it. Files are read by a plugin for every model."""

_RENAMED = {"googlevertex": "google", "mancer": "mancer2"}
_ENDPOINTS = {"embeddings": "/api/v1/embeddings", "rerank": "/api/v1/rerank"}


class _Case(Struct, frozen=True):
    call: Call
    model: Model
    prompt: int
    asked: str
    price: Price | None

    @property
    def preferences(self) -> dict[str, Any]:
        return self.call.body.get("provider") or {}

    def no(self, name: str, **values: Any) -> Refusal:
        """The refusal of this row, about this model."""
        return make(name, model=self.asked, models=self.call.models or None, **values)

    def provider_says_no(self, name: str, **values: Any) -> Refusal:
        """The same, from the provider that would have answered."""
        return self.no(name, provider=(*eligible(self.call, self.model), "Simulated")[0], **values)


def fits(
    call: Call, model: Model, prompt_tokens: int, *, asked: str = "", price: Price | None = None
) -> None:
    """Refuses what this model cannot take.

    `asked` is the slug as it was sent (an alias `~…-latest` lifts mandatory reasoning instead of refusing); `price` is the
    one that holds now, else the one that the list shows.
    """
    case = _Case(call, model, prompt_tokens, asked or model.id, price)
    for rule in _RULES:
        rule(case)


def eligible(call: Call, model: Model) -> tuple[str, ...]:
    """The model's providers that `order`, `only`, `ignore` and `allow_fallbacks` leave, in the order to be tried."""
    wanted = call.body.get("provider") or {}
    kept = [name for name in model.providers if not wanted.get("only") or _is_among(name, wanted["only"])]
    kept = [name for name in kept if not _is_among(name, wanted.get("ignore") or ())]
    if not wanted.get("order"):
        return tuple(kept)
    first = [name for slug in wanted["order"] for name in kept if _is_among(name, (slug,))]
    rest = () if wanted.get("allow_fallbacks") is False else kept
    return tuple(dict.fromkeys((*first, *rest)))


def _is_among(name: str, slugs: Iterable[str]) -> bool:
    """Base slugs match all variants and regions: `google-vertex/us-east5` is Google."""
    return _key(name) in {_key(slug.partition("/")[0]) for slug in slugs}


def _key(name: str) -> str:
    letters = "".join(sign for sign in name.lower() if sign.isalnum())
    return _RENAMED.get(letters, letters)


def _endpoint(case: _Case) -> None:
    """Embedding and rerank models have endpoints of their own."""
    made = next((kind for kind in _ENDPOINTS if kind in case.model.output_modalities), None)
    here = case.call.skin if case.call.skin in _ENDPOINTS else None
    if made != here:
        place = _ENDPOINTS[made] if made else "/api/v1/chat/completions"
        raise case.no("wrong_endpoint", constraint_detail=f"Use {place} instead.")


def _providers(case: _Case) -> None:
    if case.model.providers and not eligible(case.call, case.model):
        raise case.no(
            "no_endpoints",
            message="No allowed providers are available for the selected model.",
            affected_providers=case.model.providers,
            excluded_by=("allowed_providers",),
        )


def _policy(case: _Case) -> None:
    """Providers of free variants may train on prompts; zero retention and distillation are facts of the model's row."""
    wanted = case.preferences
    if wanted.get("data_collection") == "deny" and case.model.is_free:
        raise case.no(
            "privacy_restricted", policy="no training on prompts", excluded_by=("data_policy:training",)
        )
    if wanted.get("zdr") is True and not case.model.zdr:
        raise case.no("privacy_restricted", affected_providers=case.model.providers)
    if wanted.get("enforce_distillable_text") is True and not case.model.distillable:
        raise _filtered(case, "provider.enforce_distillable_text", "no endpoint allows distillation.", ())
    levels = wanted.get("quantizations")
    if levels and case.model.quantization not in levels:
        raise _filtered(
            case, "provider.quantizations", "no endpoint has one of these quantizations.", ("quantization",)
        )


def _max_price(case: _Case) -> None:
    """USD per million tokens; a hard filter. What is dynamic has no price to compare."""
    limits = case.preferences.get("max_price") or {}
    if case.price is not None and case.price.dynamic:
        return
    for key, value in limits.items():
        limit, is_now = priced(value), _price_of(case, key)
        if limit is not None and is_now is not None and is_now > limit:
            raise _filtered(
                case, "max_price", f"every endpoint charges more than ${value} for {key}.", ("max_price",)
            )


def _price_of(case: _Case, key: str) -> Decimal | None:
    """Per million tokens, or per image or request."""
    unit = _MILLION if key in {"prompt", "completion", "audio"} else Decimal(1)
    if case.price is not None and key in {"prompt", "completion", "request", "image"}:
        return Decimal(getattr(case.price, key)) * unit
    shown = priced((case.model.shown.get("pricing") or {}).get(key, "-1"))
    return None if shown is None else shown * unit


def _inputs(case: _Case) -> None:
    kinds = {part.get("type", "") for message in case.call.messages for part in _parts(message)}
    for kind in sorted(kinds & _PARTS.keys()):
        modality, words = _PARTS[kind]
        if modality not in case.model.input_modalities:
            raise _unsupported(case, words)


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _outputs(case: _Case) -> None:
    lacking = set(case.call.modalities) - case.model.output_modalities
    if lacking and case.call.skin not in _ENDPOINTS:
        raise _unsupported(case, f"the requested output modalities: {', '.join(case.call.modalities)}")


def _tools(case: _Case) -> None:
    functions = [tool for tool in case.call.tools if tool.get("type") == "function"]
    if functions and "tools" not in case.model.parameters:
        raise _unsupported(case, "tool use")
    is_soft = case.call.tool_choice in (None, "auto", "none")
    if functions and not is_soft and "tool_choice" not in case.model.parameters:
        raise _unsupported(case, "the provided 'tool_choice' value")
    if len(case.call.models) > 1 and any(
        str(tool.get("type")).startswith("openrouter:") for tool in case.call.tools
    ):
        raise case.no("server_tool_failed")


def _schema(case: _Case) -> None:
    """A schema that is not strict is a wish; a strict one is a must."""
    wanted = case.call.response_format or {}
    is_strict = (
        wanted.get("type") == "json_schema" and (wanted.get("json_schema") or {}).get("strict") is True
    )
    if is_strict and "structured_outputs" not in case.model.parameters:
        raise _unsupported(case, "structured outputs with a strict schema")


def _required(case: _Case) -> None:
    if case.preferences.get("require_parameters") is not True:
        return
    used = {
        _PARAMETERS[key] for key, value in case.call.body.items() if value is not None and key in _PARAMETERS
    }
    if case.call.response_format:
        used.add("response_format")
    lacking = sorted(name for name in used if not _ALIKE.get(name, frozenset({name})) & case.model.parameters)
    if lacking:
        detail = f"no endpoint supports {', '.join(lacking)}."
        raise _filtered(case, "provider.require_parameters", detail, ("require_parameters",))


def _window(case: _Case) -> None:
    most, limit = case.call.max_tokens or 0, case.model.context_length
    if case.model.max_completion_tokens and most > case.model.max_completion_tokens:
        detail = f"no endpoint can generate {most} tokens; the most is {case.model.max_completion_tokens}."
        raise _filtered(case, "max_tokens", detail, ("context_length",))
    room = most if _compresses(case) else case.prompt + most
    if limit and room > limit:
        raise case.no(
            "context_length_exceeded",
            limit=limit,
            requested=case.prompt + most,
            input=case.prompt,
            output=most,
        )


def _compresses(case: _Case) -> bool:
    """Whether the middle of a prompt that is too long is left out."""
    body = case.call.body
    for plugin in body.get("plugins") or ():
        if plugin["id"] == "context-compression":
            return plugin.get("enabled") is not False
    if body.get("transforms") is not None:
        return "middle-out" in body["transforms"]
    return 0 < case.model.context_length <= _COMPRESSED


def _shortest(case: _Case) -> None:
    most = case.call.max_tokens
    if case.model.reasoning_format == "openai-responses-v1" and most is not None and most < _SHORTEST:
        raise case.provider_says_no("min_tokens", requested=most, limit=_SHORTEST)


def _reasoning(case: _Case) -> None:
    wanted, offered = case.call.reasoning, case.model.reasoning or {}
    is_off = wanted.enabled is False or wanted.effort == "none"
    if is_off and offered.get("mandatory") and not case.asked.startswith("~"):
        raise case.no("mandatory_reasoning")
    budget, most = wanted.max_tokens, case.call.max_tokens
    if (
        case.model.signs_reasoning
        and budget
        and most
        and budget >= most
        and offered.get("supports_max_tokens", True)
    ):
        raise invalid("max_tokens must be greater than reasoning.max_tokens")


def _prefill(case: _Case) -> None:
    messages = case.call.messages
    if messages and messages[-1].get("role") == "assistant" and not case.model.accepts_prefill:
        raise case.provider_says_no("prefill_refused")


def _history(case: _Case) -> None:
    """What a model said before has to come back as it was said."""
    if case.call.skin in _ENDPOINTS:
        return
    damage = replays(case.call.messages, case.model)
    if damage is not None:
        raise case.provider_says_no(damage.name, **damage.values)


def _unsupported(case: _Case, feature: str) -> Refusal:
    return case.no("unsupported", feature=feature)


def _filtered(case: _Case, field: str, detail: str, excluded_by: tuple[str, ...]) -> Refusal:
    return case.no(
        "constraint_filtered", constraint_field=field, constraint_detail=detail, excluded_by=excluded_by
    )


_RULES: tuple[Callable[[_Case], None], ...] = (
    _endpoint,
    _providers,
    _policy,
    _max_price,
    _inputs,
    _outputs,
    _tools,
    _schema,
    _required,
    _window,
    _shortest,
    _reasoning,
    _prefill,
    _history,
)
"""In the order in which OpenRouter would notice: its routing first, then what only the provider sees."""
