"""The decision table, D1 to D32, before the first token and after it, as the wire reference has it (section 7).

Models are named by their place in the chain: A fails as the case says, the last way of it for ever; B and C answer well.
Where we do otherwise on purpose the case says why (`apart`).
"""

from __future__ import annotations

from decisions import (
    BACKOFF,
    COMMENT,
    HEAD,
    NOW,
    SAID,
    THOUGHT,
    WELL,
    WORDS,
    Act,
    Case,
    after,
    available,
    before,
    body,
    failed,
    finish,
    kind,
    page,
    refusal,
)

ONCE, TWICE = BACKOFF[:1], BACKOFF
CAN_ONLY_AFFORD = "This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but can only afford 1234."
THINKS = {"reasoning": {"effort": "high"}}
DETAIL = {"type": "reasoning.text", "text": "Boats.", "signature": "c2ln"}
QUESTION = {"role": "user", "content": "Where are the boats?"}
PREFILLED = (QUESTION, {"role": "assistant", "content": "The harbour"})
HISTORY = (QUESTION, {"role": "assistant", "content": "Here.", "reasoning_details": [DETAIL]}, QUESTION)
FORGOTTEN = [QUESTION, {"role": "assistant", "content": "Here."}, QUESTION]
TASK = {"models": (), "task": "general"}
SCHEMA_TOO = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {}}}
}


def again(outcome: str, retries: int, then: str = "B answered") -> str:
    """A with this outcome, once and `retries` times more, and who comes then."""
    return ", ".join([f"A {outcome}"] * (retries + 1) + ([then] if then else []))


def limited(message: str, seconds: float) -> Act:
    """A limit of OpenRouter's own: the reset in epoch milliseconds, in the header and in the metadata."""
    told = {
        "X-RateLimit-Limit": "20",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": f"{int((NOW + seconds) * 1000)}",
    }
    return refusal(
        429, message, {name.lower(): value for name, value in told.items()}, metadata={"headers": told}
    )


def broken(row: str, what: str, tail: bytes, outcome: str, retries: int = 1, **more: object) -> list[Case]:
    """A failure within the stream: R and N before the first token, C after it."""
    common = {"unseen": again(outcome, retries), "unseen_waits": BACKOFF[:retries], **more}
    return [
        Case(row, "before", what, (before(tail),), again(outcome, retries), waits=BACKOFF[:retries]),
        Case(row, "after", what, (after(tail),), f"A {outcome}, B answered", seam="proven", **common),  # type: ignore[arg-type]
    ]


def final(row: str, what: str, act: Act, tail: bytes, outcome: str, **more: object) -> list[Case]:
    """A failure that no other model mends, before and after the first token: X."""
    return [
        Case(row, "before", what, (act,), f"A {outcome}", outcome, **more),  # type: ignore[arg-type]
        Case(row, "after", what, (after(tail),), f"A {outcome}", outcome, **more),  # type: ignore[arg-type]
    ]


THE_WAY = [
    Case("D1", "before", "nobody listens", (Act(end="refused"),), again("connect_failed", 2, ""), "connect_failed", waits=TWICE),
    Case("D2", "before", "no headers", (Act(end="silent"),), "A headers_timeout, B answered", silence=60),
    Case("D2", "before", "no headers, and nobody else", (Act(end="silent"),), "A headers_timeout", "headers_timeout", silence=60, chain="A"),
    Case("D2", "before", "no headers of what is not streamed", (Act(end="silent"),), "A total_timeout", "total_timeout", silence=600,
         ask={"params": {"plugins": [{"id": "response-healing"}]}}, apart="its headers come with the answer: bounded by the whole request's 600 s"),
    Case("D2b", "before", "reset before the headers", (Act(end="lost"),), again("connection_lost", 1), waits=ONCE),
    Case("D3", "before", "only comments", (Act((COMMENT,) * 10, every=20),), "A first_event_timeout, B answered", silence=60),
    Case("D3", "before", "only comments, from a model that thinks", (Act((COMMENT,) * 10, every=50),), "A first_event_timeout, B answered",
         silence=180, ask={"params": THINKS}),
    Case("D3", "before", "a role, and no token", (Act((HEAD,), "stall"),), "A first_event_timeout, B answered", silence=60),
    Case("D4", "after", "only comments any more", (Act((WORDS, *[COMMENT] * 9), every=10),), "A idle_timeout, B answered", silence=40, seam="proven"),
    Case("D4", "after", "silence amid thoughts", (Act((THOUGHT, *[COMMENT] * 9), every=50),), "A idle_timeout, B answered", silence=170, seam="restart"),
    Case("D4", "after", "silence, and nobody else", (after(end="stall"), WELL), "A idle_timeout, A answered", silence=30, seam="proven", chain="A",
         unseen="A idle_timeout", apart="decision 12: who spoke is asked to go on, which is another request than the one that fell silent"),
    Case("D5", "before", "the end without a word", (before(),), again("truncated", 1), waits=ONCE),
    Case("D5", "before", "[DONE] without a word", (before(b"data: [DONE]\n\n"),), again("truncated", 1), waits=ONCE),
    Case("D5", "before", "reset without a word", (before(end="reset"),), again("truncated", 1), waits=ONCE),
    *[
        Case("D5", "after", what, (act,), "A truncated, B answered", seam="proven", unseen=again("truncated", 1), unseen_waits=ONCE)
        for what, act in {"the end": after(), "[DONE]": after(b"data: [DONE]\n\n"), "reset": after(end="reset")}.items()
    ],
]  # fmt: skip

IN_STREAM = [
    *broken("D5", "an event that is no JSON", b"data: {nonsense\n\n", "malformed"),
    *[
        case
        for error_type in ("provider_unavailable", "provider_overloaded", "server", "timeout", "unmapped")
        for case in broken("D6", f"F1 {error_type}", failed(502, **kind(error_type)), "provider_error")
    ],
    Case("D6", "after", "F1, and no fail-over", (after(failed(502, "Busy.", **kind("provider_overloaded", provider_name="P"))),), "A provider_error",
         "provider_error", unseen=again("provider_error", 1), unseen_waits=ONCE, ask={"failover": "error"},
         tells={"status": 502, "provider": "P", "detail": "Busy."}),
    *broken("D6", "F1, its code a word", failed("server_error"), "provider_error"),
    *broken("D6", "F2", failed(502, shape="F2"), "provider_error"),
    *broken("D6", "F3", failed(502, shape="F3"), "provider_error"),
    *broken("D6", "F4", failed(0, shape="F4"), "provider_error"),
    Case("D7", "before", "F5 with 429", (body(error={"code": 429, "message": "x"}, user_id="u"),), again("rate_limited", 1), waits=ONCE),
    Case("D7", "before", "F5 with 502", (body(error={"code": 502, "message": "x"}, choices=None),), again("unavailable", 2), waits=TWICE),
    Case("D7", "before", "F5 with 401", (body(error={"code": 401, "message": "x"}),), "A authentication", "authentication"),
    Case("D7", "after", "F6", (body(choices=[{"index": 0, "finish_reason": "error", "message": {"role": "assistant", "content": SAID},
                                              "error": {"code": 502, "message": "x"}}]),),
         "A unavailable, B answered", seam="proven", unseen=again("unavailable", 2), unseen_waits=TWICE),
    *[
        Case("D8", "before", f"{status}", (refusal(status, **kind("timeout")),), again("upstream_timeout", 1), waits=ONCE)
        for status in (408, 504, 524)
    ],
    Case("D8", "before", "524, a page", (page(524),), again("upstream_timeout", 1), waits=ONCE),
    Case("D9", "before", "500", (refusal(500, **kind("server")),), again("server_error", 1), waits=ONCE),
    Case("D9", "before", "500 once", (refusal(500), WELL), "A server_error, A answered", waits=ONCE),
    *broken("D9", "500 in the stream", failed(500), "provider_error"),
    *[
        Case("D10", "before", f"{status}", (refusal(status),), again("unavailable", 2), waits=TWICE)
        for status in (502, 503, *(code for code in range(520, 531) if code != 524))
    ],
    Case("D10", "before", "502, a page", (page(502),), again("unavailable", 2), waits=TWICE),
    Case("D10", "before", "503, back in 5 s", (refusal(503, headers={"retry-after": "5"}),), again("unavailable", 2), waits=((5, 5.5),) * 2),
    Case("D10", "before", "503, back in 40 s", (refusal(503, headers={"retry-after": "40"}),), again("unavailable", 0)),
    *[case for code in (502, 503, 529) for case in broken("D10", f"{code} in the stream", failed(code), "provider_error")],
]  # fmt: skip

LIMITS = [
    Case("D11", "before", "at capacity, back in 5 s", (refusal(429, **available("capacity_exhausted", retryable=True, retry_after=5)),),
         again("rate_limited", 1), waits=((5, 5.5),)),
    Case("D11", "before", "at capacity, back in 40 s", (refusal(429, headers={"retry-after": "40"}, **available("capacity_exhausted", retryable=True)),),
         again("rate_limited", 0)),
    Case("D11", "before", "a provider's, without a time", (refusal(429, metadata={"provider_name": "P"}),), again("rate_limited", 1), waits=ONCE),
    Case("D11", "before", "a provider's, told as upstream, with X-RateLimit-*",
         (refusal(429, headers={"x-ratelimit-reset": "3"}, metadata={"limit_source": "upstream"}),), again("rate_limited", 1), waits=((3, 3.5),)),
    Case("D11", "before", "back in 40 s, and nobody else", (refusal(429, headers={"retry-after": "40"}), WELL), "A rate_limited, A answered",
         waits=((40, 44),), chain="A"),
    Case("D11", "before", "back in 40 s, later than the deadline", (refusal(429, headers={"retry-after": "40"}),), "A rate_limited", "rate_limited",
         chain="A", ask={"total_timeout": 30.0}, tells={"retry_after": 40.0}),
    Case("D11", "before", "back in 200 s, and nobody else", (refusal(429, headers={"retry-after": "200"}),), "A rate_limited", "rate_limited",
         chain="A", tells={"retry_after": 200.0}, apart="who asks now wants an answer now: a minute is waited for at most, and the error tells the rest"),
    *broken("D11", "in the stream", failed(429, metadata={"provider_name": "P"}), "rate_limited"),
    Case("D12", "before", "so many a minute", (limited("Rate limit exceeded: free-models-per-min. ", 45), WELL),
         "A rate_limited_account, A answered", waits=((45, 49.5),)),
    Case("D12", "before", "so many a minute, for ever", (limited("Rate limit exceeded: limit_rpm", 45),), again("rate_limited_account", 1, ""),
         "rate_limited_account", waits=((45, 49.5),)),
    Case("D12", "before", "a reset after the minute", (limited("Rate limit exceeded: limit_rpm", 90),), "A rate_limited_account",
         "rate_limited_account", tells={"retry_after": 90.0}),
    Case("D12", "after", "so many a minute", (after(failed(429, "limit_rpm", metadata={"headers": {"X-RateLimit-Reset": "45"}})),),
         "A rate_limited_account, B answered", seam="proven", unseen=again("rate_limited_account", 1, ""), unseen_waits=((45, 49.5),)),
    *final("D13", "so many a day", limited("Rate limit exceeded: free-models-per-day. ", 3600), failed(429, "free-models-per-day"), "free_limit"),
    Case("D13", "before", "so many a day: when again", (limited("Rate limit exceeded: free-models-per-day. ", 3600),), "A free_limit", "free_limit",
         tells={"retry_after": 3600.0}),
]  # fmt: skip

ACCOUNT = [
    *final("D14", "401", refusal(401, "No auth credentials found"), failed(401), "authentication"),
    Case("D15", "before", "the task's max_tokens are too dear", (refusal(402, CAN_ONLY_AFFORD), WELL), "A max_tokens_unaffordable, A answered",
         ask=TASK, changed={"max_tokens": 1110}),
    Case("D15", "before", "still too dear", (refusal(402, CAN_ONLY_AFFORD),), again("max_tokens_unaffordable", 1, ""), "max_tokens_unaffordable",
         ask=TASK, changed={"max_tokens": 1110}),
    Case("D15", "before", "the caller's max_tokens are too dear", (refusal(402, CAN_ONLY_AFFORD),), "A max_tokens_unaffordable",
         "max_tokens_unaffordable", ask={"params": {"max_tokens": 4096}}, tells={"detail": CAN_ONLY_AFFORD}),
    *final("D16", "402", refusal(402, "Insufficient credits"), failed(402), "insufficient_credits"),
    *final("D16", "402, the key's own limit", refusal(402, "Key limit exceeded (total limit)."), failed(402, "Key limit exceeded"), "key_limit"),
    Case("D17", "before", "moderated", (refusal(403, metadata={"reasons": ["violence"]}),), "A moderated, B answered"),
    Case("D17", "before", "moderated by all", (refusal(403, metadata={"reasons": ["violence"]}),), "A moderated, B moderated", "moderated",
         all_alike=True),
    Case("D17", "after", "moderated", (after(failed(403, metadata={"reasons": ["violence"]})),), "A moderated, B answered", seam="proven"),
    *final("D18", "a guardrail", refusal(403, metadata={"patterns": ["p"]}), failed(403, metadata={"patterns": ["p"]}), "guardrail"),
    *final("D19", "a budget", refusal(403, "Workspace monthly budget of $5 exceeded."), failed(403, "Guardrail daily budget of $5 exceeded."),
           "upstream_budget"),
    Case("D20", "before", "the region", (refusal(403, **available("region_restricted", excluded_by=["geo"])),), "A region_restricted, B answered"),
    *final("D21", "403", refusal(403, "You do not have permission to do this."), failed(403), "permission_denied"),
]  # fmt: skip

MODEL = [
    *[
        Case("D22", "before", what, (act,), "A model_not_found, B answered")
        for what, act in {
            "no valid id, by its words": refusal(400, "maker/one is not a valid model ID"),
            **{
                code: refusal(404, **available(code))
                for code in ("model_not_found", "no_endpoints", "model_deprecated", "model_unavailable_upstream", "free_variant_ended")
            },
            "no endpoints, by its words": refusal(404, "No endpoints found for maker/one."),
        }.items()
    ],
    *[
        Case("D23", "before", what, (act,), "A constraint_unmet, B answered", ask={"params": {"provider": {"zdr": True}}})
        for what, act in {
            "nobody supports it": refusal(404, "No endpoints found that support tool use.", **available("no_endpoints")),
            "constraint_filtered": refusal(404, **available("constraint_filtered", excluded_by=["max_price"])),
            "privacy_restricted": refusal(404, **available("privacy_restricted", excluded_by=["data_policy:zdr"])),
        }.items()
    ],
    Case("D22", "before", "a successor, and nobody else", (refusal(404, **available("model_deprecated", fallback_models=["maker/new"])),),
         "A model_not_found", "model_not_found", chain="A", tells={"detail": "x (in its place maker/new)"}),
    Case("D23", "before", "strict JSON that nobody supports", (refusal(404, "No endpoints found that support structured outputs."),),
         "A constraint_unmet, B answered", ask={"params": SCHEMA_TOO}, apart="nothing says which of a caller's constraints are soft: the next model (REQ-11)"),
    Case("D23", "before", "a constraint, and nobody else", (refusal(404, **available("constraint_filtered", excluded_by=["max_price"])),),
         "A constraint_unmet", "constraint_unmet", chain="A", tells={"detail": "x (excluded by max_price)"}),
    Case("D24", "before", "too long", (refusal(400, **kind("context_length_exceeded")),), "A context_too_long, B answered"),
    Case("D24", "before", "too long, and words may be left out", (refusal(400, **kind("context_length_exceeded")), WELL),
         "A context_too_long, A answered", chain="A", changed={"messages": [QUESTION]}, ask={"messages": HISTORY, "compact": True}),
    Case("D24", "after", "too long", (Act((WORDS, failed(400, **kind("context_length_exceeded")))),), "A answered", tells={"text": SAID, "finish_reason": "length"}),
    Case("D24", "after", "too long, in one read", (after(failed(400, **kind("context_length_exceeded"))),), "A answered",
         tells={"text": SAID, "finish_reason": "length"}),
    *[
        Case("D25", "before", words, (refusal(400, words), WELL), "A reasoning_history, A answered", ask={"messages": HISTORY}, chain="A",
             changed={"messages": FORGOTTEN})
        for words in ("Invalid `signature` in `thinking` block", "Function call is missing a thought_signature", "Reasoning details need to be preserved")
    ],
    Case("D25", "before", "once only", (refusal(400, "missing a thought_signature"),), "A reasoning_history, A reasoning_history, B answered",
         ask={"messages": HISTORY}, changed={"messages": FORGOTTEN}),
    Case("D25b", "before", "no prefill", (refusal(400, "This model does not support assistant message prefill"), WELL), "A prefill_refused, A answered",
         ask={"messages": PREFILLED}, changed={"messages": [*PREFILLED, {"role": "user", "content": "…"}]}),
    Case("D25b", "before", "no prefill, and no turn of ours", (refusal(400, "This model does not support assistant message prefill"),),
         "A prefill_refused, A prefill_refused, B answered", ask={"messages": PREFILLED},
         changed={"messages": [*PREFILLED, {"role": "user", "content": "…"}]}),
    Case("D26", "before", "reasoning is mandatory, for ever", (refusal(400, "Reasoning is mandatory for this endpoint."),),
         "A reasoning_mandatory, A reasoning_mandatory, B answered", ask={"params": {"reasoning": {"enabled": False}}}, changed={"reasoning": None}),
    Case("D26", "before", "reasoning is mandatory", (refusal(400, "Reasoning is mandatory for this endpoint and cannot be disabled."), WELL),
         "A reasoning_mandatory, A answered", ask={"params": {"reasoning": {"enabled": False}}}, changed={"reasoning": None}),
]  # fmt: skip

CONTENT = [
    *[
        case
        for error_type in ("content_policy_violation", "refusal")
        for case in final("D27", error_type, refusal(400, "Not that.", **kind(error_type)), failed(400, "Not that.", **kind(error_type)),
                          "content_filtered", tells={"detail": "Not that."})
    ],
    *final("D27", "finish content_filter", before(finish("content_filter")), finish("content_filter"), "content_filtered"),
    *[
        case
        for status, outcome in {400: "invalid_request", 409: "invalid_request", 412: "invalid_request", 413: "payload_too_large",
                                422: "invalid_request"}.items()
        for case in (
            Case("D28", "before", f"{status}", (refusal(status, "No."),), f"A {outcome}", outcome, tells={"detail": "No."}),
            Case("D28", "after", f"{status}", (after(failed(status, "No.")),), f"A {outcome}, B answered", seam="proven", unseen=f"A {outcome}",
                 apart="what one model has begun to answer is no invalid request"),
        )
    ],
    Case("D28", "before", "an image that cannot be fetched", (refusal(400, **kind("image_download_failed")),), again("image_unreachable", 1, ""),
         "image_unreachable", waits=ONCE),
    Case("D29", "before", "too many models", (refusal(400, "'models' array must have 3 items or fewer."),), "A invalid_request", "invalid_request",
         apart="`models` is never sent, so there is nothing to split"),
    *[
        Case("D30", "before", f"only reasoning, {what}", (act, WELL), "A reasoning_exhausted, A answered", ask=TASK, changed={"max_tokens": 16384},
             seam=seam)
        for what, act, seam in (
            ("told", Act((THOUGHT + finish("length", 9, 9),)), "restart"),
            ("counted", before(finish("length", 9, 9)), ""),
        )
    ],
    Case("D30", "before", "only reasoning, for ever", (Act((THOUGHT + finish("length", 9, 9),)),),
         "A reasoning_exhausted, A reasoning_exhausted, B answered", ask=TASK, changed={"max_tokens": 16384}, seam="restart restart"),
    Case("D30", "before", "only reasoning, by all", (Act((THOUGHT + finish("length", 9, 9),)),),
         ", ".join(f"{one} reasoning_exhausted" for one in "AABBCC"), "reasoning_exhausted", ask=TASK, changed={"max_tokens": 16384},
         seam="restart " * 5, all_alike=True),
    Case("D30", "before", "only reasoning, under the caller's own cap", (before(finish("length", 9, 9)),), "A reasoning_exhausted, B answered",
         ask={"params": {"max_tokens": 9}}, apart="decision 5: the caller's cap is not ours to raise"),
    *[
        Case("D31", "before", what, (before(tail),), again("empty_answer", 1), waits=ONCE)
        for what, tail in {"stop, zero tokens": finish("stop"), "a blank finish": finish(""), "no finish, zero tokens": finish(None)}.items()
    ],
]  # fmt: skip

CASES = [*THE_WAY, *IN_STREAM, *LIMITS, *ACCOUNT, *MODEL, *CONTENT]

NEVER = {
    **dict.fromkeys(
        (
            "D1 after",
            "D2 after",
            "D2b after",
            "D3 after",
            "D8 after",
            "D15 after",
            "D20 after",
            "D22 after",
            "D23 after",
        ),
        "it comes before the first token or not at all",
    ),
    **dict.fromkeys(
        ("D25 after", "D25b after", "D26 after", "D30 after", "D31 after"), "with a token it is none of these"
    ),
    "D4 before": "that is D3",
    "D29 after": "as D28",
    "D32 before": "tested by itself",
    "D32 after": "tested by itself",
}
"""Places of the table in which there is nothing to play."""

SECTION_15 = {
    "SSE-06": ("D5 after: the end", "D5 before: the end"),
    "MID-01": ("D6 after: F1", "D6 after: F1, and no fail-over"),
    "MID-02": ("D6 after: F2", "D6 after: F3"),
    "MID-04": ("D6 after: F4",),
    "MID-08": ("D9 after: 500",),
    "ERR-01": ("D7 before: F5",),
    "ERR-02": ("D7 after: F6",),
    "ERR-04": ("D10 before: 502, a page", "D8 before: 524, a page"),
    "ERR-07": ("D14 before", "D14 after"),
    "ERR-08": ("D15 before: the task's", "D15 before: still", "D15 before: the caller's"),
    "ERR-10": ("D17", "D18", "D19", "D20"),
    "ERR-11": ("D23 before: privacy", "D23 before: constraint", "D23 before: a constraint, and nobody else"),
    "ERR-12": ("D22 before: no valid id",),
    "ERR-13": ("D22 before: no endpoints, by its words", "D22 before: a successor"),
    "RL-01": ("D11 before: at capacity, back in 5 s", "D11 before: at capacity, back in 40 s", "D11 before: back in 40 s, and"),
    "RL-03": ("D13 before: so many a day: when again",),
    "RL-06": ("D11 before: a provider's",),
    "RL-07": ("D16 before: 402",),
    "REQ-11": ("D23 before: strict JSON",),
    "REQ-12": ("D30 before",),
    "USE-09": ("D31 before",),
}  # fmt: skip
"""Conformance cases of the wire reference → where they are played: the beginning of the names of cases."""
