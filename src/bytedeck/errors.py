"""One tree of errors and one table.

    ByteError
    ├── CallerError            something in the request or the set-up has to change
    │   ├── ConfigError            the configuration cannot be read
    │   ├── UnknownTask            no such task
    │   ├── UnknownModel           no such model, or nobody serves it any more
    │   ├── NoWayToAnswer          neither a key nor a local model
    │   ├── InvalidRequest         the upstream refuses the request itself
    │   ├── ContextTooLong         the prompt does not fit the model
    │   ├── AuthenticationFailed   the key is not accepted
    │   └── PermissionRefused      the key may not do this
    ├── LimitError             asking later, or paying, helps
    │   ├── RateLimited
    │   ├── InsufficientCredits
    │   └── BudgetExceeded         it could cost more than was allowed; nothing was sent
    ├── UpstreamError          the model, its provider or the way to it failed
    │   ├── ServerError
    │   ├── ModelUnavailable
    │   ├── UpstreamTimeout
    │   ├── ConnectionFailed
    │   ├── StreamBroken           it began and did not end
    │   ├── EmptyAnswer
    │   └── ContentFiltered        refused for its content
    └── OurFault               Bytedeck itself
        ├── LedgerError            the ledger cannot be written or read
        └── InternalError          a bug

`TABLE` holds, for each code, the class, the sentence that a person reads, what happens
next (openrouter wire reference, section 7) and the statuses with which we answer.
Nothing else in the code base decides by a code's name what an error means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from .types import Attempt, Fault, Reply


class ByteError(Exception):
    """What every error of ours has. `str(error)` is the sentence for a person."""

    code: str = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        detail: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        provider: str = "",
        reply: Reply | None = None,
        hint: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        """One friendly sentence."""
        if code is not None:
            self.code = code
        """The row of `TABLE`."""
        self.detail = detail
        """The upstream's own words, without keys."""
        self.status = status
        """The upstream's HTTP status or in-band code, where there was one."""
        self.retry_after = retry_after
        """Seconds until asking again makes sense, where that is known."""
        self.provider = provider
        self.reply = reply
        """What there was of the answer: partial text, attempts, usage, cost."""
        self.hint = tuple(hint)
        """What the person can do, a line each."""

    @property
    def partial_text(self) -> str:
        """The words that had come before it failed."""
        return self.reply.text if self.reply else ""

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every upstream attempt that was made."""
        return self.reply.attempts if self.reply else ()

    @property
    def exit_code(self) -> int:
        """The CLI's exit code."""
        return TABLE[self.code].exit_code

    @property
    def http_status(self) -> int:
        """The status with which a gateway of ours answers."""
        return TABLE[self.code].http_status


class CallerError(ByteError):
    """Something in the request or the set-up has to change."""


class ConfigError(CallerError):
    """The configuration cannot be read: file, line, path and what was expected."""

    code = "bad_config"


class UnknownTask(CallerError):
    """No task has this name; `hint` tells the nearest ones."""

    code = "unknown_task"


class UnknownModel(CallerError):
    """No such model; `hint` tells the nearest ones."""

    code = "unknown_model"


class NoWayToAnswer(CallerError):
    """There is neither a key nor a local model; `hint` tells the two ways to go on."""

    code = "no_way_to_answer"


class InvalidRequest(CallerError):
    """The request itself is refused."""

    code = "invalid_request"


class ContextTooLong(CallerError):
    """The prompt does not fit the model's context; `hint` tells models that would fit."""

    code = "context_too_long"


class AuthenticationFailed(CallerError):
    """The API key is not accepted."""

    code = "authentication"


class PermissionRefused(CallerError):
    """The key may not do this: a guardrail, a region, a right."""

    code = "permission_denied"


class LimitError(ByteError):
    """A limit: asking later, or paying, helps."""


class RateLimited(LimitError):
    """Too many requests; `retry_after` tells when to come back, where known."""

    code = "rate_limited"


class InsufficientCredits(LimitError):
    """The account or a budget cannot pay for it."""

    code = "insufficient_credits"


class BudgetExceeded(LimitError):
    """It could cost more than was allowed, by the caller or a budget, so it was not sent."""

    code = "over_max_cost"


class UpstreamError(ByteError):
    """The model, its provider or the way to it failed."""

    code = "provider_error"


class ServerError(UpstreamError):
    """The upstream reported a fault of its own."""

    code = "server_error"


class ModelUnavailable(UpstreamError):
    """The model cannot answer now."""

    code = "unavailable"


class UpstreamTimeout(UpstreamError):
    """A bound on time was passed."""

    code = "headers_timeout"


class ConnectionFailed(UpstreamError):
    """The upstream could not be reached."""

    code = "connect_failed"


class StreamBroken(UpstreamError):
    """The answer began and did not come to its end; `partial_text` holds what came."""

    code = "truncated"


class EmptyAnswer(UpstreamError):
    """The model finished without a word."""

    code = "empty_answer"


class ContentFiltered(UpstreamError):
    """The provider refused for the content; `detail` holds its reason."""

    code = "content_filtered"


class OurFault(ByteError):
    """Bytedeck itself."""


class LedgerError(OurFault):
    """The ledger cannot be written or read."""

    code = "ledger_failed"


class InternalError(OurFault):
    """A bug in Bytedeck."""

    code = "internal"


Then = Literal["next", "once", "elsewhere", "larger", "stop"]
"""After the last try at a model: the next one, the next one but no third that says the same, the next one on another
route (the host is not there), the next one that holds more, or none."""


class Row(NamedTuple):
    """What one code means."""

    error: type[ByteError]
    sentence: str
    retries: int
    """How often the same model is asked again at most."""
    then: Then
    """After that: the next model of the chain, or the end."""
    http_status: int
    exit_code: int
    amend: str = ""
    """A change to the request with which it is sent once more (wire reference, letter M)."""
    blames: Literal["model", "key", ""] = ""
    """Whose breaker counts it; "": nobody's, because it says nothing of the next request."""


# Exit codes of the CLI. 0 is a whole answer; 2 is click's for wrong usage; 130 is Ctrl-C.
_BUG, _LENGTH, _FILTER = 1, 3, 4
_CONFIG, _NAMES, _NO_WAY, _LEDGER = 5, 6, 7, 8
_AUTH, _DENIED, _CREDITS, _LIMIT, _INVALID, _CONTEXT = 10, 11, 12, 13, 14, 15
_UPSTREAM, _DOWN, _TIMEOUT, _NETWORK, _BROKEN, _EMPTY = 20, 21, 22, 23, 24, 25

EXIT_LENGTH = _LENGTH

_SERVER = "OpenRouter server error. Try again shortly."
_UNAVAILABLE = "Model temporarily unavailable. Try a different model."
_RATE = "Rate limited. Please wait a moment and try again."

# fmt: off
TABLE: dict[str, Row] = {
    # code: class, sentence, retries, then, HTTP status, exit code
    # the way to the upstream
    "connect_failed": Row(ConnectionFailed, "Cannot reach the model's server. Check your network connection.",
                          2, "elsewhere", 502, _NETWORK),
    "connection_lost": Row(ConnectionFailed, "The connection was lost before an answer came. Try again shortly.",
                           1, "next", 502, _NETWORK, blames="model"),
    "headers_timeout": Row(UpstreamTimeout, "The model did not answer in time. Try again, or try a different model.",
                           0, "next", 504, _TIMEOUT, blames="model"),
    "first_event_timeout": Row(UpstreamTimeout, "The model accepted the request and then said nothing. Try a different model.",
                               0, "next", 504, _TIMEOUT, blames="model"),
    "idle_timeout": Row(UpstreamTimeout, "The model fell silent in the middle of its answer.",
                        0, "next", 504, _TIMEOUT, blames="model"),
    "total_timeout": Row(UpstreamTimeout, "The request took longer than its total time limit.",
                         0, "stop", 504, _TIMEOUT),
    # the stream
    "truncated": Row(StreamBroken, "The answer broke off before its end.", 1, "next", 502, _BROKEN, blames="model"),
    "malformed": Row(StreamBroken, "The model's server sent something that cannot be read.",
                     1, "next", 502, _BROKEN, blames="model"),
    "seam_refused": Row(StreamBroken, "The answer broke off, and no other model could take it up where it ended.",
                        0, "next", 502, _BROKEN),
    "provider_error": Row(UpstreamError, "The model's provider failed. Try again, or try a different model.",
                          1, "next", 502, _UPSTREAM, blames="model"),
    "empty_answer": Row(EmptyAnswer, "The model returned an empty answer. Try again, or try a different model.",
                        1, "next", 502, _EMPTY, blames="model"),
    "reasoning_exhausted": Row(EmptyAnswer, "The model spent all its tokens on reasoning and wrote no answer. Allow more max_tokens, or less reasoning.",
                               0, "next", 502, _EMPTY, amend="more_tokens"),
    "content_filtered": Row(ContentFiltered, "The provider refused this for its content.",
                            0, "stop", 400, _FILTER),
    # the upstream's statuses
    "upstream_timeout": Row(UpstreamTimeout, "The model took too long. Try again, or try a different model.",
                            1, "next", 504, _TIMEOUT, blames="model"),
    "server_error": Row(ServerError, _SERVER, 1, "next", 502, _UPSTREAM, blames="model"),
    "unavailable": Row(ModelUnavailable, _UNAVAILABLE, 2, "next", 503, _DOWN, blames="model"),
    "rate_limited": Row(RateLimited, _RATE, 1, "next", 429, _LIMIT, blames="model"),
    "rate_limited_account": Row(RateLimited, _RATE, 1, "stop", 429, _LIMIT),
    "free_limit": Row(RateLimited, "Rate limited: today's free requests are used up.", 0, "stop", 429, _LIMIT),
    "authentication": Row(AuthenticationFailed, "Invalid API key. Check your OpenRouter configuration.",
                          0, "stop", 401, _AUTH, blames="key"),
    "insufficient_credits": Row(InsufficientCredits, "Insufficient credits. Add funds to your OpenRouter account.",
                                0, "stop", 402, _CREDITS, blames="key"),
    "max_tokens_unaffordable": Row(InsufficientCredits, "Your credits do not cover that many tokens. Ask for fewer max_tokens, or add funds.",
                                   0, "stop", 402, _CREDITS, amend="affordable_tokens"),
    "key_limit": Row(InsufficientCredits, "The limit of this API key is used up. Raise it, or use another key.",
                     0, "stop", 402, _CREDITS, blames="key"),
    "upstream_budget": Row(InsufficientCredits, "A budget of your OpenRouter workspace is used up.",
                           0, "stop", 402, _CREDITS, blames="key"),
    "moderated": Row(ContentFiltered, "The provider's moderation refused this prompt.",
                     0, "once", 403, _FILTER),
    "guardrail": Row(PermissionRefused, "A guardrail of your OpenRouter account blocked this request.",
                     0, "stop", 403, _DENIED),
    "region_restricted": Row(PermissionRefused, "This model is not offered in your region. Try a different model.",
                             0, "next", 403, _DENIED),
    "permission_denied": Row(PermissionRefused, "Your API key may not do this. Check its rights at OpenRouter.",
                             0, "stop", 403, _DENIED),
    "model_not_found": Row(UnknownModel, "This model does not exist, or is no longer served. Try a different model.",
                           0, "next", 404, _NAMES, blames="model"),
    "constraint_unmet": Row(UnknownModel, "No provider of this model supports what the request asks for.",
                            0, "next", 404, _NAMES),
    "context_too_long": Row(ContextTooLong, "The prompt is too long for this model.", 0, "larger", 400, _CONTEXT,
                            amend="compacted"),
    "invalid_request": Row(InvalidRequest, "The request was refused as invalid.", 0, "stop", 400, _INVALID),
    "image_unreachable": Row(InvalidRequest, "The provider could not download an image of the request.",
                             1, "stop", 400, _INVALID),
    "payload_too_large": Row(InvalidRequest, "The request is too large.", 0, "stop", 413, _INVALID),
    "prefill_refused": Row(InvalidRequest, "This model does not take an assistant message as the last one.",
                           0, "next", 400, _INVALID, amend="user_turn"),
    "reasoning_mandatory": Row(InvalidRequest, "This model's reasoning cannot be switched off.",
                               0, "next", 400, _INVALID, amend="no_reasoning_field"),
    "reasoning_history": Row(InvalidRequest, "The reasoning details in the conversation are not accepted by this model.",
                             0, "next", 400, _INVALID, amend="no_reasoning_details"),
    "tool_arguments_truncated": Row(StreamBroken, "A tool call was cut off by max_tokens; its arguments are incomplete.",
                                    0, "stop", 502, _BROKEN),
    # ours
    "over_max_cost": Row(BudgetExceeded, "This could cost more than you allowed, so it was not sent.",
                         0, "stop", 402, _CREDITS),
    "over_limit": Row(RateLimited, "One of your limits kept this back.", 1, "next", 429, _LIMIT),
    "over_burst": Row(RateLimited, "One of your limits never lets this through.", 0, "next", 429, _LIMIT),
    "over_budget": Row(BudgetExceeded, "One of your budgets kept this back.", 0, "next", 402, _CREDITS),
    "budget_held": Row(BudgetExceeded, "One of your budgets kept this back for now.", 1, "next", 402, _CREDITS),
    "unknown_task": Row(UnknownTask, "Unknown task.", 0, "stop", 404, _NAMES),
    "unknown_model": Row(UnknownModel, "Unknown model.", 0, "stop", 404, _NAMES),
    "unknown_key": Row(InvalidRequest, "Unknown key.", 0, "stop", 404, _NAMES),
    "unknown_match": Row(InvalidRequest, "Unknown match.", 0, "stop", 404, _NAMES),
    "no_way_to_answer": Row(NoWayToAnswer, "There is no API key and no local model.", 0, "stop", 503, _NO_WAY),
    "local_failed": Row(ModelUnavailable, "The local model could not be started.", 0, "stop", 503, _DOWN),
    "local_error": Row(ModelUnavailable, "The local model cannot answer this.", 0, "stop", 503, _DOWN),
    "bad_config": Row(ConfigError, "The configuration cannot be read.", 0, "stop", 500, _CONFIG),
    "ledger_failed": Row(LedgerError, "The ledger cannot be written.", 0, "stop", 503, _LEDGER),
    "internal": Row(InternalError, "Something went wrong inside Bytedeck. This is a bug.",
                    0, "stop", 500, _BUG),
}
# fmt: on


# What a person can do about it, where there is something to do besides what the sentence says.
HINTS: dict[str, tuple[str, ...]] = {
    "authentication": (
        "See which key is used, and where it comes from: byte keys status",
        "Save another one from https://openrouter.ai/keys with: byte keys set",
    ),
    "key_limit": ("Its limit stands at https://openrouter.ai/settings/keys",),
    "insufficient_credits": ("Add credits at https://openrouter.ai/settings/credits",),
    "total_timeout": ("Allow more time: --timeout 600 at the terminal, timeout=600 in Python.",),
    "connect_failed": ("The address that is asked stands under openrouter.base_url in: byte config",),
    "model_not_found": ("Look for its name with: byte models SEARCH",),
}


NOT_ASKED = "was not asked"
"""Stands in each note of a model that a bound, a limit or a budget kept back."""

HINDRANCES = frozenset(
    (
        *("connect_failed", "rate_limited_account", "free_limit", "authentication", "permission_denied"),
        *(
            "insufficient_credits",
            "max_tokens_unaffordable",
            "key_limit",
            "upstream_budget",
            "no_way_to_answer",
        ),
        *("over_max_cost", "over_limit", "over_burst", "over_budget", "budget_held"),
    )
)
"""Codes that say nothing of the model that was to answer: the way out, the account, the key or a limit of ours kept the
request back. Once somebody has seen to that, or some time has gone by, the same request goes through."""

_OWN_WORDS = ("over_limit", "over_burst", "over_budget", "budget_held")
"""Codes of which a fault's message is ours: which limit or budget it was."""


def error_from(fault: Fault, reply: Reply | None = None) -> ByteError:
    """The exception that tells of a fault, with what there was of the answer."""
    row = TABLE[fault.code]
    sentence, detail = row.sentence, fault.message
    if fault.code in _OWN_WORDS:
        sentence, detail = f"{sentence} {detail}", ""
    if fault.retry_after is not None and row.error in (RateLimited, BudgetExceeded):
        sentence += f" It can be asked again in {_duration(fault.retry_after)}."
    return row.error(
        sentence,
        code=fault.code,
        detail=detail,
        status=fault.status,
        retry_after=fault.retry_after,
        provider=fault.provider,
        reply=reply,
        hint=fault.hint or HINTS.get(fault.code, ()),
    )


def _duration(seconds: float) -> str:
    """`40 s`, `5 min`, `3 h 20 min`: as a person says it."""
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
