"""PKCE: codes are good once, for ten minutes, for who knows the verifier."""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal
from typing import Any

import pytest

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.money.bank import Bank
from bytedeck.simulator.pages.codes import Codes
from bytedeck.simulator.shapes import Refusal
from sim_calls import NOON

ALL = catalogue.load()
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
S256 = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""RFC 7636, appendix B."""


@pytest.fixture
def codes() -> Codes:
    return Codes(Bank(ALL), "seed")


def test_the_challenge_is_that_of_the_rfc() -> None:
    assert base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=") == S256


@pytest.mark.parametrize(
    ("issued", "body"),
    [
        ({}, {}),
        ({}, {"code_verifier": "idle"}),
        ({"challenge": S256, "method": "S256"}, {"code_verifier": VERIFIER, "code_challenge_method": "S256"}),
        ({"challenge": S256, "method": "S256"}, {"code_verifier": VERIFIER}),
        ({"challenge": S256, "method": "S256"}, {"code_verifier": VERIFIER, "code_challenge_method": None}),
        (
            {"challenge": "open", "method": "plain"},
            {"code_verifier": "open", "code_challenge_method": "plain"},
        ),
        ({"challenge": "open"}, {"code_verifier": "open"}),
    ],
)
def test_a_code_becomes_a_key_that_works(issued: dict[str, Any], body: dict[str, Any]) -> None:
    bank = Bank(ALL)
    codes = Codes(bank, "seed")
    code = codes.issue(NOON, limit=Decimal(3), label="My app", **issued)
    answer = codes.exchange({"code": code, **body}, NOON + 599)
    key = bank.key(f"Bearer {answer['key']}", NOON)
    assert (key.name, key.limit, answer["user_id"]) == ("My app", 3, "user_sim")
    with pytest.raises(Refusal) as caught:
        codes.exchange({"code": code, **body}, NOON + 599)
    assert (caught.value.status, caught.value.message) == (403, "Invalid or expired code")


@pytest.mark.parametrize(
    ("body", "later", "status"),
    [
        ({"code": "auth_code_unknown"}, 0, 403),
        ({}, 600, 403),
        ({"code_verifier": None}, 0, 403),
        ({"code_verifier": "wrong"}, 0, 403),
        ({"code_verifier": S256}, 0, 403),
        ({"code_verifier": "\ud800"}, 0, 403),
        ({"code_challenge_method": "plain"}, 0, 400),
        ({"code_challenge_method": "S512"}, 0, 400),
        ({"code": ""}, 0, 400),
        ({"code": 7}, 0, 400),
    ],
)
def test_a_wrong_exchange_is_refused(codes: Codes, body: dict[str, Any], later: float, status: int) -> None:
    code = codes.issue(NOON, challenge=S256, method="S256")
    with pytest.raises(Refusal) as caught:
        codes.exchange({"code": code, "code_verifier": VERIFIER} | body, NOON + later)
    assert caught.value.status == status


def test_a_wrong_verifier_does_not_spend_the_code(codes: Codes) -> None:
    code = codes.issue(NOON, challenge=S256, method="S256")
    with pytest.raises(Refusal):
        codes.exchange({"code": code, "code_verifier": "wrong"}, NOON)
    assert codes.exchange({"code": code, "code_verifier": VERIFIER}, NOON)["key"].startswith("sk-or-v1-")


@pytest.mark.parametrize("asked", [{"method": "S256"}, {"method": "md5", "challenge": "x"}])
def test_a_consent_without_a_usable_challenge_is_a_400(codes: Codes, asked: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        codes.issue(NOON, **asked)
    assert caught.value.status == 400


def test_same_seed_same_codes_and_another_code_each_time() -> None:
    first, second = Codes(Bank(ALL), "seed"), Codes(Bank(ALL), "seed")
    assert [first.issue(NOON), first.issue(NOON)] == [second.issue(NOON), second.issue(NOON)]
    assert first.issue(NOON) != first.issue(NOON)
