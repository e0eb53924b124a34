"""Faults in how usage and cost are told: in another chunk, without details, as odd text, or not at all.

Numbers pass through as raw JSON: what is not to be changed keeps its every digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Raw, json
from msgspec.structs import replace

from ..shapes import Bill, Event, Sent, Skin
from .fault import CHUNKS, Fault, Params

_DATA = b"data: "
_AMOUNT = r"(0|[1-9][0-9]{0,2})(\.[0-9]{1,20})?|[0-9](\.[0-9]{1,8})?[eE]-(0?[0-9]|1[0-2])"
"""JSON's numbers below 1,000 that the bank can add up without rounding."""


def _without_usage(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    """Where the usage has an event of its own that one is missing; else the last event goes without it."""
    for event in events:
        if event.kind == "finish" and sent.call.skin not in CHUNKS:
            head, mark, data = event.data.partition(_DATA)
            event = replace(event, data=head + mark + _unused(sent.call.skin, data) + b"\n\n")
        if event.kind != "usage":
            yield event


def _body_without_usage(params: Params, sent: Sent, whole: bytes) -> bytes:
    return _unused(sent.call.skin, whole)


def _unused(skin: Skin, data: bytes) -> bytes:
    """The object without its usage; all else stays as it was written."""
    told = json.decode(data, type=dict[str, Raw])
    if "response" in told:
        told["response"] = Raw(_unused(skin, bytes(told["response"])))
    elif skin == "responses":
        told["usage"] = Raw(b"null")
    else:
        told.pop("usage", None)
    return json.encode(told)


def _bare(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    """The chunk of usage as some upstreams send it."""
    for event in events:
        if params["bare"] and event.kind == "usage":
            usage = {name: raw for name, raw in _usage(event).items() if name != "cost_details"}
            event = replace(event, data=_DATA + json.encode({"choices": [], "usage": usage}) + b"\n\n")
        yield event


def _usage(event: Event) -> dict[str, Raw]:
    told = json.decode(event.data.removeprefix(_DATA), type=dict[str, Raw])
    return json.decode(told["usage"], type=dict[str, Raw])


def _moved(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    """The usage in another chunk than its own, which is missing then."""
    came = list(events)
    usage = next((_usage(event) for event in came if event.kind == "usage"), None)
    chunks = [place for place, event in enumerate(came) if event.kind in ("open", "delta", "finish")]
    if usage is None or not chunks:
        yield from came
        return
    whole = chunks[{"first": 0, "middle": len(chunks) // 2}.get(params["at"], -1)]
    running = frozenset(chunks if params["at"] == "each" else ())
    tokens = 0
    for place, event in enumerate(came):
        tokens += event.tokens
        if place == whole:
            yield _with(event, usage)
        elif place in running:
            yield _with(event, _so_far(usage, tokens))
        elif event.kind != "usage":
            yield event


def _so_far(usage: Mapping[str, Raw], tokens: int) -> dict[str, Raw]:
    """The usage so far: nobody knows yet what it will cost."""
    prompt = usage["prompt_tokens"]
    counts = {"completion_tokens": tokens, "total_tokens": int(bytes(prompt)) + tokens}
    return {"prompt_tokens": prompt} | {name: Raw(str(count).encode()) for name, count in counts.items()}


def _with(event: Event, usage: Mapping[str, Raw]) -> Event:
    told = json.decode(event.data.removeprefix(_DATA), type=dict[str, Raw])
    return replace(event, data=_DATA + json.encode({**told, "usage": usage}) + b"\n\n")


def _priced(params: Params, bill: Bill) -> Bill:
    """The bill with this cost. What a provider takes for one's own key stays as it is."""
    cost = Decimal(params["cost"])
    return replace(bill, cost=cost, upstream=bill.upstream if bill.is_byok else cost)


def _spelt(params: Params, usage: dict[str, Raw]) -> dict[str, Raw]:
    return usage | {"cost": Raw(params["cost"].encode())}


def _costless(params: Params, usage: dict[str, Raw]) -> dict[str, Raw]:
    return {name: raw for name, raw in usage.items() if name not in ("cost", "cost_details")}


def _changing(change: Callable[[Params, dict[str, Raw]], dict[str, Raw]]) -> dict[str, Any]:
    """The two stages of a fault that tells another usage, wherever it stands."""

    def events(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if b'"usage":' in event.data:
                data = body(params, sent, event.data.removeprefix(_DATA))
                event = replace(event, data=_DATA + data + b"\n\n")
            yield event

    def body(params: Params, sent: Sent, whole: bytes) -> bytes:
        told = json.decode(whole, type=dict[str, Raw])
        if "usage" in told:
            told["usage"] = Raw(json.encode(change(params, json.decode(told["usage"], type=dict[str, Raw]))))
        return json.encode(told)

    return {"events": events, "body": body}


ROWS = (
    Fault(
        name="no_usage",
        summary="No usage is told, streamed or not; on responses it is null.",
        rows="4.2",
        events=_without_usage,
        body=_body_without_usage,
    ),
    Fault(
        name="double_finish",
        summary="A second finish chunk brings the usage.",
        rows="SSE-07",
        skins=CHUNKS,
        usage="double",
    ),
    Fault(
        name="bare_usage",
        summary="The last chunk has choices [] and the usage; with `bare=1` nothing else, and no cost_details.",
        rows="SSE-08",
        skins=CHUNKS,
        params={"bare": 0},
        usage="bare",
        events=_bare,
    ),
    Fault(
        name="usage_at",
        summary="The usage stands in another chunk: the first, the middle one, that of the finish; or in each of them, without a "
        "cost before the last.",
        rows="5.1",
        skins=CHUNKS,
        params={"at": "first"},
        texts={"at": ("first|middle|finish|each", "first, middle, finish or each")},
        events=_moved,
    ),
    Fault(
        name="no_cost",
        summary="Tokens are told, and not what they cost.",
        rows="4.2",
        skins=CHUNKS,
        **_changing(_costless),
    ),
    Fault(
        name="odd_cost",
        summary="Exactly this is charged, and told as it is written: as an exponent, or with more decimals than others send.",
        rows="USE-04",
        skins=CHUNKS,
        params={"cost": "1e-7"},
        texts={"cost": (_AMOUNT, "an amount below 1000, as 1e-7 or 0.00009312345678912345")},
        bill=_priced,
        **_changing(_spelt),
    ),
)
