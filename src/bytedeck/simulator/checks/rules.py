"""The documented ranges and rules of request bodies, which the OpenAPI description lacks.

Each rule looks at a body whose types the description has allowed (unknown keys are open, so their types are checked here)
and refuses with 400 invalid_request. Source: the wire reference, 3, 9, 12 and 15.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from msgspec import Struct

from ..refusals.named import invalid, make
from ..shapes import Skin

Body: TypeAlias = dict[str, Any]
_LARGEST = 2**31 - 1
_SEED = 2**63


class Range(Struct, frozen=True):
    """Bounds of a number, both allowed unless `above` says that the lower one is not."""

    low: float
    high: float
    whole: bool = False
    above: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a decoded JSON value lies within."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.whole and value != int(value):
            return False
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        kind = "an integer" if self.whole else "a number"
        low, high = (
            f"{int(bound)}" if bound == int(bound) else f"{bound}" for bound in (self.low, self.high)
        )
        return f"{kind} above {low}, up to {high}" if self.above else f"{kind} from {low} to {high}"


_TOKENS = Range(1, _LARGEST, whole=True)
_SAMPLING: dict[str, Range] = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1, above=True),
    "top_k": Range(0, _LARGEST, whole=True),
    "min_p": Range(0, 1),
    "top_a": Range(0, 1),
    "frequency_penalty": Range(-2, 2),
    "presence_penalty": Range(-2, 2),
    "repetition_penalty": Range(0, 2, above=True),
    "seed": Range(-_SEED, _SEED, whole=True),
    "top_logprobs": Range(0, 20, whole=True),
    "max_tool_calls": Range(1, 30, whole=True),
}
RANGES: dict[Skin, dict[str, Range]] = {
    "chat": {**_SAMPLING, "max_tokens": _TOKENS, "max_completion_tokens": _TOKENS},
    "completions": {**_SAMPLING, "max_tokens": _TOKENS, "max_completion_tokens": _TOKENS},
    "responses": {**_SAMPLING, "max_output_tokens": _TOKENS},
    "messages": {**_SAMPLING, "max_tokens": _TOKENS},
    "embeddings": {},
    "rerank": {},
}
_BIAS = Range(-100, 100)
KINDS: dict[str, tuple[type, str]] = {
    "include_reasoning": (bool, "a boolean"),
    "structured_outputs": (bool, "a boolean"),
    "preset": (str, "a string"),
    "transforms": (list, "an array"),
    "audio": (dict, "an object"),
    "web_search_options": (dict, "an object"),
}
"""Keys of chat completions that only the documentation knows: null or this."""
_VERBOSITY = ("low", "medium", "high", "xhigh", "max")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check(skin: Skin, body: Body) -> None:
    """Refuses what the documentation forbids."""
    bounds = RANGES[skin]
    for key, value in body.items():
        if value is not None and key in bounds and not bounds[key].holds(value):
            raise invalid(f"{key}: expected {bounds[key]}")
    for rule in _RULES[skin]:
        rule(body)


def session(body: Body, headers: Mapping[str, str]) -> None:
    """A session id has at most 256 characters, in the header too."""
    if body.get("session_id") is None and len(headers.get("x-session-id", "")) > 256:
        raise invalid("x-session-id: must have at most 256 characters")


def _documented(body: Body) -> None:
    for key, (kind, words) in KINDS.items():
        if body.get(key) is not None and not isinstance(body[key], kind):
            raise invalid(f"{key}: expected {words}")
    if body.get("verbosity") is not None and body["verbosity"] not in _VERBOSITY:
        raise invalid(f"verbosity: expected one of {', '.join(_VERBOSITY)}")


def _model(body: Body) -> None:
    if body.get("model") == "":
        raise invalid("No models provided")


def _models(body: Body) -> None:
    models = body.get("models") or []
    if len(models) > 3:
        raise make("too_many_models")
    if "" in models:
        raise invalid("No models provided")


def _fallbacks(body: Body) -> None:
    fallbacks = body.get("fallbacks")
    if not fallbacks:
        return
    if len(fallbacks) > 3:
        raise invalid("'fallbacks' array must have 3 items or fewer.")
    if body.get("models"):
        raise invalid("'fallbacks' cannot be used together with 'models'.")


def _max_price(body: Body) -> None:
    prices = (body.get("provider") or {}).get("max_price") or {}
    for key, value in prices.items():
        if value is not None and price(value) is None:
            raise invalid(
                f"provider.max_price.{key[:64]}: expected a price in USD, as a number or a decimal string"
            )


def price(value: Any) -> Decimal | None:
    """A price as it may be sent, or None where it is none."""
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | float) else Decimal("NaN")
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _logprobs(body: Body) -> None:
    if body.get("top_logprobs") is not None and body.get("logprobs") is not True:
        raise invalid("top_logprobs: needs logprobs to be true")


def _logit_bias(body: Body) -> None:
    for key, value in (body.get("logit_bias") or {}).items():
        if not _BIAS.holds(value):
            raise invalid(f"logit_bias.{key[:32]}: expected {_BIAS}")


def _metadata(body: Body) -> None:
    pairs = body.get("metadata") or {}
    if len(pairs) > 16:
        raise invalid("metadata: must have at most 16 pairs")
    for key, value in pairs.items():
        if len(key) > 64:
            raise invalid(f"metadata.{key[:64]}…: a key must have at most 64 characters")
        if isinstance(value, str) and len(value) > 512:
            raise invalid(f"metadata.{key}: must have at most 512 characters")


def _json_schema(body: Body) -> None:
    wanted = body.get("response_format") or {}
    _schema_name("response_format.json_schema.name", wanted.get("json_schema"))


def _text_format(body: Body) -> None:
    _schema_name("text.format.name", (body.get("text") or {}).get("format"))


def _schema_name(where: str, holder: Any) -> None:
    name = (holder or {}).get("name")
    if name is not None and not _NAME.fullmatch(name):
        raise invalid(f"{where}: must have 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")


def _reasoning(body: Body) -> None:
    wanted = body.get("reasoning")
    if not isinstance(wanted, dict):
        return
    for key in ("enabled", "exclude"):
        if wanted.get(key) is not None and not isinstance(wanted[key], bool):
            raise invalid(f"reasoning.{key}: expected a boolean")
    budget, effort = wanted.get("max_tokens"), wanted.get("effort")
    if budget is not None and not _BUDGET.holds(budget):
        raise invalid(f"reasoning.max_tokens: expected {_BUDGET}")
    if budget is not None and effort is not None:
        raise invalid('Only one of "reasoning.effort" and "reasoning.max_tokens" can be specified')
    also = body.get("reasoning_effort")
    if effort is not None and also is not None and effort != also:
        raise invalid('"reasoning_effort" and "reasoning.effort" must not contradict each other')


_BUDGET = Range(0, _LARGEST, whole=True)


def _audio(body: Body) -> None:
    if "audio" not in (body.get("modalities") or ()):
        return
    if body.get("stream") is not True:
        raise invalid("Audio output requires stream: true")
    audio = body.get("audio") or {}
    if not isinstance(audio.get("voice"), str) or not isinstance(audio.get("format"), str):
        raise invalid("audio: expected an object with voice and format")


def _tools(body: Body) -> None:
    """Names have at most 64 characters; a choice needs the tool that it names."""
    tools = body.get("tools") or []
    names = [tool_name(tool) for tool in tools]
    for index, name in enumerate(names):
        if name is not None and not 1 <= len(name) <= 64:
            raise invalid(f"tools[{index}]: a tool's name must have 1 to 64 characters")
    choice = body.get("tool_choice")
    if choice is None or choice in ("none", "auto"):
        return
    if not tools and not (isinstance(choice, dict) and choice.get("type") in {"none", "auto"}):
        raise invalid("tool_choice: needs tools")
    wanted = (
        tool_name(choice) if isinstance(choice, dict) and choice.get("type") in {"function", "tool"} else None
    )
    if wanted is not None and wanted not in names:
        raise invalid(f"tool_choice: there is no tool named '{wanted[:64]}'")


def tool_name(tool: Body) -> str | None:
    """The name of a function tool, in whichever skin it is written; None for a server tool."""
    holder = tool.get("function", tool)
    name = holder.get("name") if isinstance(holder, dict) else None
    return name if isinstance(name, str) else None


def _stateless(body: Body) -> None:
    for key in ("store", "background"):
        if body.get(key) is True:
            raise invalid(f"{key}: the Responses API is stateless; {key}: true is not supported")
    if body.get("previous_response_id") is not None:
        raise invalid(
            "previous_response_id: the Responses API is stateless; send the whole conversation as input"
        )


def _some_input(body: Body) -> None:
    if body.get("input") in (None, "", []) and not body.get("prompt"):
        raise invalid("input: expected a string or an array with at least 1 item")


def _some_prompt(body: Body) -> None:
    if not body["prompt"]:
        raise make("invalid_prompt", detail='Input required: specify "prompt"')


def _some_messages(body: Body) -> None:
    if not body.get("messages"):
        raise invalid("messages: must have at least 1 item(s)")


def _budget_tokens(body: Body) -> None:
    thinking, most = body.get("thinking") or {}, body.get("max_tokens")
    budget = thinking.get("budget_tokens")
    if budget is None:
        return
    if budget < 1024:
        raise invalid("thinking.budget_tokens: must be at least 1024")
    if most is not None and budget >= most:
        raise invalid("max_tokens: must be greater than thinking.budget_tokens")


def _some_embeddings(body: Body) -> None:
    if body.get("input") == []:
        raise invalid("input: must have at least 1 item(s)")


Rule: TypeAlias = Callable[[Body], None]
_TO_ALL: tuple[Rule, ...] = (_model, _max_price)
_TO_SPOKEN: tuple[Rule, ...] = (*_TO_ALL, _models, _reasoning, _tools)
_RULES: dict[Skin, tuple[Rule, ...]] = {
    "chat": (*_TO_SPOKEN, _documented, _logprobs, _logit_bias, _metadata, _json_schema, _audio),
    "completions": (*_TO_ALL, _models, _reasoning, _some_prompt, _documented, _logit_bias, _metadata),
    "responses": (*_TO_SPOKEN, _some_input, _metadata, _text_format),
    "messages": (*_TO_ALL, _models, _tools, _some_messages, _fallbacks, _budget_tokens),
    "embeddings": (*_TO_ALL, _some_embeddings),
    "rerank": _TO_ALL,
}
BEFORE: dict[Skin, tuple[Rule, ...]] = {"responses": (_stateless,)}
"""Rules whose words are clearer than the description's; they look at values of any type."""
