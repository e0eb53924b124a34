"""An upstream's words made fit for a person: no keys, no accounts, no HTML, no control characters, not endless."""

from __future__ import annotations

import re

_LONGEST = 600
_KEY = "[key]"
_ACCOUNT = "[account]"

# Anything that looks like a key goes, wherever it stands; better one word too many than a key.
_SECRETS = (
    (re.compile(r"\bBearer\s+[^\s\"',;]+", re.IGNORECASE), f"Bearer {_KEY}"),
    (re.compile(r"\bBasic\s+[A-Za-z0-9+/=]{12,}"), f"Basic {_KEY}"),
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|AIza|ghp|glpat)[-_][\w\-.*…]{4,}", re.IGNORECASE), _KEY),
    (re.compile(r"\bAIza[\w\-]{10,}"), _KEY),
    (
        re.compile(
            r"((?:api[_-]?key|authorization|secret|password|access[_-]?token)[\"']?\s*[:=]\s*[\"']?)(?!\[key)(?!Bearer|Basic)[^\s\"',;&]+",
            re.IGNORECASE,
        ),
        rf"\1{_KEY}",
    ),
    (re.compile(r"\b(?:org|proj|user|acct)[-_][A-Za-z0-9]{8,}"), _ACCOUNT),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"), _ACCOUNT),
)
_HTML = re.compile(r"<\s*(?:!doctype|html|head|body|center|title)\b", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with everything masked that looks like a key, or names an account."""
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


def cleaned(text: str) -> str:
    """The text as it may be shown: one line, at most 600 characters; "" for HTML."""
    if _HTML.search(text[:4096]):
        return ""
    # Redact before the cut, or half a key would stand at its end; a wide first cut bounds the work.
    line = redact(" ".join(text[: 16 * _LONGEST].split()))
    shown = "".join(sign for sign in line if sign.isprintable())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
