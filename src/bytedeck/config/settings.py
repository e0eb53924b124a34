"""Every setting as data: the docs, `byte config` and the tests read this table."""

from __future__ import annotations

import re
from typing import NamedTuple

from .limits import settings
from .shape import Config


class Setting(NamedTuple):
    """One row: where the setting can be made, what holds without it, what it means."""

    name: str
    """Its path in the TOML file; "" where only the environment sets it."""
    env: tuple[str, ...]
    """The variables that set it, first one first; they win over the file."""
    default: str
    meaning: str
    field: str = ""
    """The field of `Config` that holds it; "" where it is a table of its own."""

    @property
    def key(self) -> str:
        """Its key in `Config.where`."""
        return self.name or self.env[0]


SETTINGS: tuple[Setting, ...] = (
    Setting("", ("BYTE_HOME",), "the platform's data folder for bytedeck",
            "The folder of the key, the ledger, the catalogue's copy and the local model.", "home"),
    Setting("", ("BYTE_CONFIG",), "config.toml in BYTE_HOME",
            "The settings file. One that is named has to exist; the default one may be missing.", "file"),
    Setting("", ("OPENROUTER_API_KEY", "OPENROUTER_KEY"), "keys.toml in BYTE_HOME, written by `byte keys set`",
            "The OpenRouter key. It never stands in the settings file.", "api_key"),
    Setting("openrouter.base_url", ("OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"), "https://openrouter.ai/api/v1",
            "Where requests go.", "base_url"),
    Setting("openrouter.app_url", ("OPENROUTER_HTTP_REFERER",), "not sent",
            "Your app's address, sent as HTTP-Referer.", "app_url"),
    Setting("openrouter.app_title", ("OPENROUTER_APP_TITLE",), "Bytedeck",
            "Your app's name, sent as X-OpenRouter-Title.", "app_title"),
    Setting("ledger.url", ("BYTE_DATABASE_URL",), "ledger.db in BYTE_HOME",
            "Where the ledger is kept: sqlite:///path/to/file.db, or memory: for nothing that lasts.", "database_url"),
    Setting("ledger.required", (), "false",
            "Whether a request is refused when the ledger cannot be written.", "ledger_required"),
    Setting("retries", (), "2",
            "How often one model is asked again at most, 0 to 10.", "retries"),
    Setting("fallback_models", (), "none",
            "Models that are asked after every chain that goes to OpenRouter, also where one model was named.",
            "fallback_models"),
    Setting("cache_size", (), "256 MB",
            "What all answers together may take that the gateway keeps for who asks the same again.", "cache_size"),
    Setting("gateway.origins", (), "none",
            "Pages of the web that may use the gateway, each by its origin, such as https://app.example.com.", "origins"),
    Setting("timeouts.connect", (), "10", "Seconds until the connection stands.", "timeouts.connect"),
    Setting("timeouts.headers", (), "60", "Seconds from the request to the answer's headers.", "timeouts.headers"),
    Setting("timeouts.first_event", (), "60", "Seconds from the headers to the first token; three times as many for a model that thinks.", "timeouts.first_event"),
    Setting("timeouts.idle", (), "30", "Seconds between two pieces of data; four times as many while a model only thinks.", "timeouts.idle"),
    Setting("timeouts.total", (), "600", "Seconds for the whole request.", "timeouts.total"),
    Setting("policy.failover", (), "continue",
            "When an answer breaks off after its first words: continue it with the next model, restart, or error.",
            "policy.failover"),
    Setting("policy.hedge", (), "false",
            "Whether the next model starts as well when the first word is later than usual for the model.",
            "policy.hedge"),
    Setting("policy.compact", (), "false",
            "Whether the oldest messages may be left out where a prompt is too long for every model.",
            "policy.compact"),
    Setting("policy.stream_tools", (), "false",
            "Whether tool calls are shown while they are written; a break in one cannot be hidden then.",
            "policy.stream_tools"),
    Setting("limits.per_model", (), "none",
            "Requests to each model, for every model by itself: `10/minute`, or a second, an hour, a day.", "rules"),
    Setting("limits.requests", (), "none", "All requests together.", "rules"),
    Setting("limits.tokens", (), "none", "The tokens of all prompts and answers together.", "rules"),
    Setting("limits.wait", (), "60",
            "Seconds that a request waits for a limit, or for money that running requests hold, before it is refused; 0 refuses at once.",
            "limit_wait"),
    Setting("limits.models.<pattern>.<which>", (), "as in limits.per_model",
            "`requests` or `tokens` of one model, or of each that fits a pattern such as author/*."),
    Setting("budget.daily", ("BYTE_DAILY_BUDGET",), "none",
            'USD that may be spent in a day, in quotes: "5"; "5 soft" only warns. In the variable `off` lifts it.', "rules"),
    Setting("budget.weekly", (), "none", "The same for a week, from Monday.", "rules"),
    Setting("budget.monthly", (), "none", "The same for a month.", "rules"),
    Setting("budget.total", (), "none", "The same for all that the ledger knows.", "rules"),
    Setting("budget.warn_percent", (), "80", "How much of a budget may be spent before it is told, 1 to 100."),
    Setting("keys.<label>.policy.<which>", (), "as in policy",
            "What the requests of one key do differently; the label is the one of `byte usage --by key`."),
    Setting("keys.<label>.limits.<which>", (), "none", "`requests` or `tokens` of one key."),
    Setting("keys.<label>.budget.<which>", (), "none", "A budget of one key, and its warn_percent."),
    Setting("arena.judges", (), "models of eight families",
            "Models that judge debates, first choice first. A panel takes those of other families than the fighters'.", "arena.judges"),
    Setting("arena.commentator", (), "~google/gemini-flash-latest",
            'The model that sums up a debate; "" for nobody.', "arena.commentator"),
    Setting("arena.personas.<name>.<which>", (), "as shipped",
            "Whom a fighter may play: `name` as it is shown, `style` as the model is told, `colour` as #rrggbb."),
    Setting("aliases.<name>", (), "", "A short name of yours for a model id."),
    Setting("tasks.<name>.models", (), "as shipped", "Ids or aliases, first choice first. A new task needs it."),
    Setting("tasks.<name>.light", (), "as shipped", "The model for short and simple prompts of `auto`."),
    Setting("tasks.<name>.system", (), "as shipped", "The system prompt. A new task needs it, or a description."),
    Setting("tasks.<name>.label", (), "as shipped", "The task's name for people."),
    Setting("tasks.<name>.description", (), "as shipped", "What the task is for, in one line."),
    Setting("tasks.<name>.aliases", (), "as shipped", "Other names of the task."),
    Setting("tasks.<name>.keywords", (), "as shipped", "What in a prompt speaks for this task; read by `auto`."),
    Setting("tasks.<name>.params.<field>", (), "max_tokens 4096, temperature 0.7",
            "A request field that is sent where the caller leaves it out."),
    Setting("tasks.<name>.timeouts.<which>", (), "as in timeouts", "A bound of this task's own."),
    Setting("tasks.<name>.policy.<which>", (), "as in policy", "What this task does differently."),
    Setting("tasks.<name>.cache", (), "off",
            'For how long the gateway keeps this task\'s answers for who asks the same again: "10m", "1h".'),
    Setting("tasks.<name>.promote", (), "ask",
            "What happens to the order of `models` once the arena has evidence for another one: `ask` proposes it, "
            "`auto` changes it in this file."),
    Setting("tasks.<name>.limits.<which>", (), "none", "`requests` or `tokens` of one task."),
    Setting("tasks.<name>.budget.<which>", (), "none", "A budget of one task, and its warn_percent."),
)  # fmt: skip

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^@]*(?=@)")


def shown(config: Config) -> list[tuple[str, str, str]]:
    """Each setting's name, value and source as a person may read them: keys and passwords are stars."""
    ruled = dict(settings(config.rules))
    rows = []
    for row in SETTINGS:
        if row.field:
            value = ruled.pop(row.name, None) if row.field == "rules" else _value(config, row.field)
            rows.append((row.key, _text(value), config.where[row.key]))
    return rows + [(name, text, config.where[name]) for name, text in ruled.items()]


def _value(config: Config, field: str) -> object:
    value: object = config
    for part in field.split("."):
        value = getattr(value, part)
    return value


def _text(value: object) -> str:
    if value is None or value in ("", (), frozenset()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | frozenset):
        return ", ".join(sorted(value) if isinstance(value, frozenset) else value)
    return _PASSWORD.sub(r"\1:********", f"{value:g}" if isinstance(value, float) else str(value))
