"""PKCE: the code that a person's consent hands out, and the key that it is exchanged for.

A code is good once, for ten minutes. A code issued with a challenge wants the verifier that fits it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ..money.accounts import Key
from ..money.bank import Bank, new_token
from ..shapes import Refusal

LIFETIME = 600.0
METHODS = ("S256", "plain")


class Code(Struct, frozen=True, kw_only=True):
    """What was consented to."""

    account: str
    expires: float
    challenge: str = ""
    method: str = ""
    label: str = ""
    limit: Decimal | None = None


def challenge_of(verifier: str, method: str) -> str:
    """The challenge that a verifier answers."""
    if method == "plain":
        return verifier
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def checked_method(method: Any) -> str:
    """S256 or plain; "" for none; 400 for another."""
    if method is None or method == "":
        return ""
    if method not in METHODS:
        raise Refusal(400, "Invalid code_challenge_method", "invalid_request")
    return str(method)


class Codes:
    """Codes that wait for their exchange. Same seed, same codes and keys."""

    def __init__(self, bank: Bank, seed: str = "") -> None:
        self._bank = bank
        self._seed = seed
        self._issued = 0
        self._waiting: dict[str, Code] = {}

    def issue(
        self,
        now: float,
        *,
        challenge: str = "",
        method: str | None = None,
        account: str = "sim",
        label: str = "",
        limit: Decimal | None = None,
    ) -> str:
        """A code, as if a person had consented. A method without a challenge is a 400."""
        chosen = checked_method(method)
        if chosen and not challenge:
            raise Refusal(400, "code_challenge is required with code_challenge_method", "invalid_request")
        self._issued += 1
        code = "auth_code_" + hashlib.sha256(f"{self._seed}\ncode {self._issued}".encode()).hexdigest()[:32]
        self._waiting[code] = Code(
            account=account,
            expires=now + LIFETIME,
            challenge=challenge,
            method=chosen or ("plain" if challenge else ""),
            label=label,
            limit=limit,
        )
        return code

    def exchange(self, body: Mapping[str, Any], now: float) -> dict[str, Any]:
        """The answer of POST /auth/keys: a new key, usable at once. 400 for the method, 403 for code or verifier."""
        method = checked_method(body.get("code_challenge_method"))
        code = body.get("code")
        if not isinstance(code, str) or not code:
            raise Refusal(400, "code is required", "invalid_request")
        consent = self._waiting.get(code)
        if consent is None or now >= consent.expires:
            self._waiting.pop(code, None)
            raise Refusal(403, "Invalid or expired code", "permission_denied")
        if method and method != consent.method:
            raise Refusal(400, "Invalid code_challenge_method", "invalid_request")
        if not _answers(consent, body.get("code_verifier")):
            raise Refusal(403, "Invalid code_verifier", "permission_denied")
        del self._waiting[code]
        key = self._bank.add_key(
            Key(
                token=new_token(f"{self._seed}\n{code}"),
                name=consent.label or f"oauth-{self._issued}",
                account=consent.account,
                limit=consent.limit,
            )
        )
        return {"key": key.token, "user_id": self._bank.account(key).user_id}


def _answers(consent: Code, verifier: Any) -> bool:
    if not consent.challenge:
        return True
    if not isinstance(verifier, str):
        return False
    given = challenge_of(verifier, consent.method)
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), consent.challenge.encode("utf-8", "surrogatepass")
    )
