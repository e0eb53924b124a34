"""Money in JSON: plain numbers, and no digit lost."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.simulator.money import digits


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.000093", "0.000093"),
        ("9.3E-5", "0.000093"),
        ("1E+2", "100"),
        ("0.00010", "0.0001"),
        ("100", "100"),
        ("-0.250", "-0.25"),
        ("0E-9", "0"),
        ("-0.0", "0"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)
def test_an_amount_is_written_without_an_exponent(amount: str, text: str) -> None:
    assert digits.plain(Decimal(amount)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_what_is_written_reads_back_as_the_same_amount(amount: Decimal) -> None:
    sent = digits.encode({"deep": [{"cost": amount}]})
    assert json.loads(sent, parse_float=Decimal, parse_int=Decimal)["deep"][0]["cost"] == amount


def test_everything_else_is_encoded_as_json_is() -> None:
    value = {"a": [1, 2.5, None, True, "é"], "b": {"c": ()}}
    assert json.loads(digits.encode(value)) == {"a": [1, 2.5, None, True, "é"], "b": {"c": []}}
