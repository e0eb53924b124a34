"""Money in JSON: a Decimal becomes a plain number (`0.000093`, never `9.3E-5`), and no digit is lost.

Whoever answers with a dict that holds Decimals encodes it here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


def plain(amount: Decimal) -> str:
    """Decimal notation without an exponent and without idle zeros: `0.00010` is `0.0001`, `1E+2` is `100`."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def ready(value: Any) -> Any:
    """The same value with each Decimal in it as raw JSON, at any depth."""
    if isinstance(value, Decimal):
        return msgspec.Raw(plain(value).encode())
    if isinstance(value, dict):
        return {key: ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [ready(item) for item in value]
    return value


def encode(value: Any) -> bytes:
    """JSON text."""
    return _ENCODER.encode(ready(value))
