"""What a body and a stream of chat completions tell alike: ids, usage and costs, errors. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..codec.encode import usage_of
from ..config.names import without_keys
from ..errors import ByteError, UnknownModel, UnknownTask
from ..money import to_text
from ..types import Reply
from .asgi import Refused
from .call import Identity

encode = msgspec.json.Encoder(decimal_format="number").encode
"""A Decimal stays a number, with the digits that it has."""

# HTTP status → OpenRouter's stable vocabulary (wire reference 6.3).
_TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    413: "payload_too_large",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "timeout",
}
# Codes that say more than their status does.
_TYPES_BY_CODE = {
    "context_too_long": "context_length_exceeded",
    "content_filtered": "content_policy_violation",
    "moderated": "content_policy_violation",
    "image_unreachable": "image_download_failed",
    "no_way_to_answer": "provider_unavailable",
}


def id_of(identity: Identity) -> str:
    """What an answer is called, in a body and in each chunk."""
    return "chatcmpl-" + identity.request


def about(reply: Reply) -> dict[str, Any]:
    """What a body, or a stream's last chunk, tells besides the words. What is not known is left out."""
    told: dict[str, Any] = dict(reply.extra)
    if reply.provider:
        told["provider"] = reply.provider
    if reply.service_tier:
        told["service_tier"] = reply.service_tier
    if reply.openrouter_metadata is not None:
        told["openrouter_metadata"] = reply.openrouter_metadata
    if reply.usage is not None:
        told["usage"] = usage(reply)
    return told


def usage(reply: Reply) -> dict[str, Any]:
    """The usage of all attempts, what they cost together, how that is known, and where the answer was joined.

    Without `cost_details`: OpenRouter's client wants three amounts there, and of several attempts we know one.
    """
    told = usage_of(reply.usage) if reply.usage is not None else {}
    details = told.pop("cost_details", None)
    if details is not None and told.get("is_byok"):
        told |= details
    known = [one.cost_units for one in reply.attempts if one.cost_units is not None]
    if known and (reply.usage is None or reply.usage.cost_units != sum(known)):
        told["cost"] = msgspec.Raw(
            to_text(sum(known)).encode()
        )  # else it stands there, in the provider's own digits
    told["cost_known"] = reply.cost_known
    if reply.seams:
        told["seams"] = reply.seams
    return told


def error_of(error: ByteError) -> dict[str, Any]:
    """An error as both families of clients read it: `code` is the HTTP status, `type` our code. No API key is in it, also
    where the client named one by mistake."""
    status = error.http_status
    message = error.message
    if error.detail:
        message += f" ({error.detail})"
    if isinstance(error, UnknownModel | UnknownTask):  # "Did you mean …?"
        message = " ".join((message, *error.hint))
    return {
        "message": without_keys(message),
        "type": error.code,
        "param": (without_keys(error.field) or None) if isinstance(error, Refused) else None,
        "code": status,
        "metadata": _metadata(error, status),
    }


def _metadata(error: ByteError, status: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "error_type": _TYPES_BY_CODE.get(error.code)
        or _TYPES.get(status)
        or _TYPES[400 if status < 500 else 500]
    }
    if error.detail:
        told["raw"] = without_keys(error.detail)
    if error.provider:
        told["provider_name"] = error.provider
    if error.retry_after is not None:
        told["retry_after"] = error.retry_after
    if error.hint:
        told["hint"] = error.hint
    if error.attempts:
        told["attempts"] = list(_attempts(error))
    if error.reply is not None and error.reply.cost is not None:
        told |= {"cost": error.reply.cost, "cost_known": error.reply.cost_known}
    return told


def _attempts(error: ByteError) -> Iterator[dict[str, Any]]:
    for one in error.attempts:
        told: dict[str, Any] = {"model": one.model, "outcome": one.outcome}
        if one.status is not None:
            told["status"] = one.status
        if one.message:
            told["message"] = one.message
        yield told
