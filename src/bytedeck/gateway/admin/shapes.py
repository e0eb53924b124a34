"""What the admin API takes and tells. The description that it gives of itself is made of these.

Money is decimal text in USD; moments are ISO 8601 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from ...callers import Role
from ...config.callers import AN_EXPIRY, Said
from ...config.names import CALLER_NAME

Usd = Annotated[str, Meta(description="Decimal text, USD.", examples=["0.000123"])]
Moment = Annotated[str, Meta(description="ISO 8601, UTC.", examples=["2027-01-31T00:00:00Z"])]
NAME = rf"^{CALLER_NAME.pattern}$"
_Name = Annotated[
    str, Meta(pattern=NAME, description="1 to 64 small letters, digits, dots, dashes and underscores.")
]
_Word = Annotated[str, Meta(max_length=200)]
_Tag = Annotated[str, Meta(max_length=200, pattern=r"\S")]
_MODELS = "Ids, aliases, or patterns with `*`; empty: every one."
_TASKS = "Names or aliases; empty: every one."
_MOST_SECONDS = 31 * 86_400
_Grace: TypeAlias = (
    Annotated[str, Meta(pattern=r"^ *[0-9]{1,9} ?[smhdwSMHDW]? *$")]
    | Annotated[int, Meta(ge=0, le=_MOST_SECONDS)]
)
"""`10m`, `1h`, `30d`; a number is seconds."""
_Kept: TypeAlias = (
    Annotated[str, Meta(pattern=r"^$|^ *([0-9]{1,9} ?[smhdwSMHDW]?|off|never|none) *$")]
    | Annotated[int, Meta(ge=0, le=_MOST_SECONDS)]
)
_Limit = Annotated[
    str, Meta(description="Such as `60/minute`; `off`: none.", examples=["60/minute", "10/hour, burst 3"])
]
_Budget = Annotated[str, Meta(description="USD in a period.", examples=["5/day", "50/month soft"])]
_SINCE = r"^$|^(today|yesterday|[0-9]{1,6} ?[mhdw]|(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ][0-9:.+Zz-]{2,30})?)$"


# -- what is asked ---------------------------------------------------------------------------------


class ChangedKey(Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different of a key; what is left out stays."""

    tags: tuple[_Tag, ...] | UnsetType = UNSET
    models: Annotated[tuple[_Word, ...], Meta(description=_MODELS)] | UnsetType = UNSET
    tasks: Annotated[tuple[_Word, ...], Meta(description=_TASKS)] | UnsetType = UNSET
    requests: _Limit | UnsetType | None = UNSET
    tokens: _Limit | UnsetType | None = UNSET
    budgets: tuple[_Budget, ...] | UnsetType = UNSET
    expires: (
        Annotated[str, Meta(description=f"{AN_EXPIRY[0].upper()}{AN_EXPIRY[1:]}.")] | UnsetType | None
    ) = UNSET
    cache: Annotated[_Kept, Meta(description="For how long its answers are kept.")] | UnsetType | None = UNSET


class NewKey(ChangedKey, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual key that is to be."""

    name: _Name


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the secret is replaced."""

    grace: Annotated[_Grace, Meta(description="For how long the old secret is accepted yet.")] = 0


class KeysQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which keys."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    after: Annotated[
        _Word, Meta(description="A name: only those that come after it. `next` of the page before.")
    ] = ""


class UsageQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which usage."""

    by: Literal["task", "model", "key", "day"] = "task"
    since: Annotated[
        str,
        Meta(
            pattern=_SINCE,
            max_length=60,
            description="`7d`, `24h`, `today`, `2026-11-01`; all times where it is left out.",
        ),
    ] = ""


class RequestsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which attempts."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: Annotated[
        _Word, Meta(description="An attempt: only those that began before it. `next` of the page before.")
    ] = ""
    key: _Word = ""
    model: Annotated[_Word, Meta(description="The model that was asked, by its id.")] = ""
    task: _Word = ""
    outcome: Annotated[_Word, Meta(description="`answered`, or an error's code.")] = ""


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing can be said."""


# -- what is told ----------------------------------------------------------------------------------


class Key(Struct, kw_only=True):
    """A virtual key. Its secret nobody can tell again."""

    name: str
    role: Role
    state: Literal["active", "expired", "revoked"]
    hint: Annotated[str, Meta(description="The last four signs of its secret.")]
    owner: str
    tags: list[str]
    models: Annotated[list[str], Meta(description="Ids or patterns that it may use; empty: every one.")]
    tasks: Annotated[list[str], Meta(description="Tasks that it may name; empty: every one.")]
    requests: Annotated[str | None, Meta(description="Its own limit of requests.", examples=["60/minute"])]
    tokens: Annotated[str | None, Meta(description="Its own limit of tokens.")]
    budgets: Annotated[list[str], Meta(examples=[["5/day", "50/month soft"]])]
    cache: Annotated[int, Meta(description="Seconds for which its answers are kept.")]
    created: Moment
    expires: Moment | None
    revoked: Moment | None


class Keys(Struct, kw_only=True):
    """Virtual keys, by name."""

    data: list[Key]
    next: Annotated[
        str | None, Meta(description="What to give as `after` for the next page; null: there is none.")
    ]


class KeyWithSecret(Struct, kw_only=True):
    """A key whose secret is new: it is told this once."""

    key: Key
    secret: str


class UsageLine(Struct, kw_only=True):
    """What was spent by one label."""

    label: Annotated[
        str, Meta(description='Task, model, key or day; "" where the rows name none; `total` for all.')
    ]
    requests: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    cost: Usd
    unknown: Annotated[int, Meta(description="Attempts whose cost is not known yet, and not in the sum.")]
    worst: Annotated[Usd, Meta(description="What those may have cost at most.")]
    estimated: Annotated[int, Meta(description="Attempts whose cost is partial or estimated.")]


class Usage(Struct, kw_only=True):
    """What was spent."""

    by: str
    since: Moment | None
    lines: list[UsageLine]
    total: UsageLine


class Requests(Struct, kw_only=True):
    """Attempts as the ledger has them, newest first. No words of a prompt or an answer."""

    data: list[dict[str, Any]]
    next: Annotated[
        str | None, Meta(description="What to give as `before` for the next page; null: there is none.")
    ]


class TaskInfo(Struct, kw_only=True):
    """A task."""

    name: str
    label: str
    description: str
    aliases: list[str]
    models: list[str]
    light: str
    params: dict[str, Any]
    version: int


class Tasks(Struct, kw_only=True):
    """All tasks."""

    data: list[TaskInfo]


class Doing(Struct, kw_only=True):
    """How a model, or an upstream key, is doing. The figures are of the last five minutes."""

    name: str
    state: Literal["closed", "open", "half_open"]
    failures: int
    attempts: int
    error_rate: float
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    last_failure: str
    failed_ago: float | None
    again_in: float | None


class HealthTold(Struct, kw_only=True):
    """How models and upstream keys are doing, and how much goes on here."""

    models: list[Doing]
    keys: list[Doing]
    running: Annotated[int, Meta(description="Requests that this process answers now.")]
    is_closing: bool
    ledger: Annotated[list[str], Meta(description="What is odd about the ledger, a sentence each.")]


class LimitTold(Struct, kw_only=True):
    """A limit, and how it stands."""

    scope: Literal["all", "model", "key", "task"]
    of: str
    measure: Literal["requests", "tokens"]
    limit: Annotated[str, Meta(examples=["60/minute"])]
    left: int
    full_in: Annotated[float, Meta(description="Seconds until it is full again.")]


class BudgetTold(Struct, kw_only=True):
    """A budget, and how it stands."""

    scope: Literal["all", "key", "task"]
    of: str
    period: Literal["day", "week", "month", "total"]
    budget: Usd
    is_hard: bool
    spent: Usd
    held: Annotated[Usd, Meta(description="The worst cases of attempts that run.")]
    left: Usd
    since: Moment | None
    until: Moment | None


class Limits(Struct, kw_only=True):
    """All limits and budgets."""

    limits: list[LimitTold]
    budgets: list[BudgetTold]


class SettingTold(Struct, kw_only=True):
    """One setting as it holds. Keys and passwords are stars."""

    name: str
    value: str
    source: str


class ConfigTold(Struct, kw_only=True):
    """The configuration that holds."""

    version: Annotated[int, Meta(description="1 at the start; one more with each that was taken.")]
    loaded: Moment
    file: str
    problem: Annotated[str | None, Meta(description="Why the file on disk is not what holds.")]
    warnings: list[str]
    settings: list[SettingTold]


class Wrong(Struct, kw_only=True, omit_defaults=True):
    """What is wrong."""

    code: Annotated[int, Meta(description="The HTTP status.")]
    type: Annotated[str, Meta(description="The error's code, one for each meaning.")]
    message: str
    param: Annotated[str, Meta(description="What of the request it is about.")] = ""
    hint: list[str] = []


class Problem(Struct, kw_only=True):
    """Every error of this API."""

    error: Wrong
