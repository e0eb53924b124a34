"""The body of `POST /v1/messages` → a Call: one table says what each field of Anthropic's is called in a chat.

Fields that are not in the table go through untouched and in their order. What a client says in a chat's own terms
(`user`, `reasoning`, `stop`) counts more than what is translated into them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import InvalidRequest
from ..call import Call
from .blocks import chat_messages
from .checks import Block, flag, items, number, refuse, text, thing, things, whole
from .tools import chat_choice, chat_tools

MAX_STOPS = 4
"""How many stop sequences a chat takes (wire reference 3)."""

_decode = msgspec.json.Decoder().decode


def read_call(data: bytes) -> Call:
    """Raises InvalidRequest for what is no call, with a sentence that names the field."""
    body = read_object(data)
    return Call(
        messages=chat_messages(body.get("system"), body.get("messages")),
        models=_models(body),
        params=_params(body),
        streamed=flag(body.get("stream") or False, "stream"),
        echo={"stop_sequences": tuple(body.get("stop_sequences") or ())},
    )


def read_object(data: bytes) -> Block:
    """The JSON object in these bytes. Raises InvalidRequest."""
    try:
        return thing(_decode(data), "the body")
    except RecursionError as exc:
        raise refuse("the body", "is nested too deeply") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"the body: is not JSON: {exc}.") from exc


def _params(body: Block) -> Block:
    params: Block = {}
    for name, value in body.items():
        if name in _HEADS:
            continue
        translate = _FIELDS.get(name)
        if translate is None:
            params[name] = value
        elif value is not None:
            for key, told in translate(value, body).items():
                if key == name or key not in body:
                    params[key] = told
    return params


def _models(body: Block) -> tuple[str, ...]:
    """`model`, then `models`, then Anthropic's `fallbacks`: one chain."""
    named: list[object] = [] if body.get("model") is None else [body["model"]]
    named += items(body.get("models") or [], "models")
    named += [each.get("model") for each in things(body.get("fallbacks") or [], "fallbacks")]
    for name in named:
        if not isinstance(name, str) or not name:
            raise refuse("model", "has to be a model's name")
    return tuple(dict.fromkeys(str(name) for name in named))


def _max_tokens(value: object, _body: Block) -> Block:
    return {"max_tokens": whole(value, "max_tokens", 1)}


def _number(name: str) -> Callable[[object, Block], Block]:
    def checked(value: object, _body: Block) -> Block:
        return {name: number(value, name)}

    return checked


def _stop(value: object, _body: Block) -> Block:
    stops = [text(one, f"stop_sequences[{at}]") for at, one in enumerate(items(value, "stop_sequences"))]
    if len(stops) > MAX_STOPS:
        raise refuse("stop_sequences", f"takes at most {MAX_STOPS} texts, and there are {len(stops)}")
    return {"stop": stops} if stops else {}


def _tools(value: object, _body: Block) -> Block:
    tools = chat_tools(value)
    return {"tools": tools} if tools else {}


def _tool_choice(value: object, _body: Block) -> Block:
    return chat_choice(value)


def _thinking(value: object, body: Block) -> Block:
    """A budget is a number of tokens; "adaptive" leaves the amount to the model, within the effort that is asked for."""
    thinking = thing(value, "thinking")
    what = text(thinking.get("type"), "thinking.type")
    if what not in _THINKING:
        return {"thinking": value}
    wanted: Block = {"enabled": _THINKING[what]}
    if what == "enabled" and thinking.get("budget_tokens") is not None:
        wanted = {"max_tokens": whole(thinking["budget_tokens"], "thinking.budget_tokens", 1)}
    if what == "adaptive" and (effort := _effort(body)):
        wanted["effort"] = effort
    if thinking.get("display") == "omitted":
        wanted["exclude"] = True
    return {"reasoning": wanted}


def _metadata(value: object, _body: Block) -> Block:
    """Who the person is has a field of its own in a chat; the rest is the caller's."""
    metadata = thing(value, "metadata")
    rest = {key: told for key, told in metadata.items() if key != "user_id"}
    told: Block = {"metadata": rest} if rest else {}
    if metadata.get("user_id") is not None:
        told["user"] = text(metadata["user_id"], "metadata.user_id")
    return told


def _output_config(value: object, body: Block) -> Block:
    """The form of the answer, and the effort: a chat calls it verbosity, but with adaptive thinking, where it is
    the reasoning's (wire reference 3)."""
    config = thing(value, "output_config")
    rest = {key: told for key, told in config.items() if key not in ("format", "effort")}
    told: Block = {"output_config": rest} if rest else {}
    if config.get("format") is not None:
        told |= _response_format(config["format"], "output_config.format")
    effort = _effort(body)
    thinking = body.get("thinking")
    if effort and not (isinstance(thinking, dict) and thinking.get("type") == "adaptive"):
        told["verbosity"] = effort
    return told


def _effort(body: Block) -> str:
    config = body.get("output_config")
    found = config.get("effort") if isinstance(config, dict) else None
    return "" if found is None else text(found, "output_config.effort")


def _output_format(value: object, _body: Block) -> Block:
    return _response_format(value, "output_format")


def _response_format(value: object, where: str) -> Block:
    wanted = thing(value, where)
    if text(wanted.get("type"), f"{where}.type") != "json_schema":
        raise refuse(f"{where}.type", "has to be json_schema")
    schema = thing(wanted.get("schema"), f"{where}.schema")
    named = {"name": "output", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _service_tier(value: object, _body: Block) -> Block:
    """Anthropic's "auto" is what it does where nothing is said, so nothing is said; other words are OpenRouter's."""
    tier = text(value, "service_tier")
    return {} if tier == "auto" else {"service_tier": "default" if tier == "standard_only" else tier}


def _mcp_servers(value: object, _body: Block) -> Block:
    if items(value, "mcp_servers"):
        raise refuse("mcp_servers", "are run by Anthropic's own servers and are not offered here")
    return {}


_THINKING = {"enabled": True, "adaptive": True, "disabled": False}
_HEADS = frozenset({"model", "models", "fallbacks", "messages", "system", "stream"})
_FIELDS: dict[str, Callable[[Any, Block], Block]] = {
    "max_tokens": _max_tokens,
    "temperature": _number("temperature"),
    "top_p": _number("top_p"),
    "top_k": _number("top_k"),
    "stop_sequences": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "metadata": _metadata,
    "output_config": _output_config,
    "output_format": _output_format,
    "service_tier": _service_tier,
    "mcp_servers": _mcp_servers,
}
"""Field of Anthropic's → what of it a chat is told. null says nothing."""
