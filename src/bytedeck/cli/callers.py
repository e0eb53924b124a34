"""`byte keys create` and its like: virtual keys for the clients of a gateway.

A secret is printed once, alone on stdout: `KEY=$(byte keys create alice)`. Everything else goes to stderr.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..callers import Caller
    from ..config.callers import Said
    from ..house import House

_HEADS = ("NAME", "KEY", "STATE", "MAY USE", "LIMITS", "BUDGETS", "OWNER")
_OPTIONS = {
    "models": "--models",
    "tasks": "--tasks",
    "budgets": "--budget",
    "tokens": "--tpm",
    "expires": "--expires",
    "cache": "--cache",
}
"""What a field is called here; that of the requests is --rpm or --rpd."""
_ONCE = "This is the only time that it is shown; what is kept is its digest."
_SETTINGS = (
    click.option("--budget", "budgets", multiple=True, metavar="BUDGET",
                 help='What it may spend: 5/day, "50/month soft", 100/total. One for each period.'),
    click.option("--rpm", metavar="N", help="Requests a minute."),
    click.option("--rpd", metavar="N", help="Requests a day, instead of --rpm."),
    click.option("--tpm", metavar="N", help="Tokens a minute."),
    click.option("--models", multiple=True, metavar="NAMES",
                 help="The models that it may use: ids, or patterns with *; with commas between. [default: all]"),
    click.option("--tasks", multiple=True, metavar="NAMES",
                 help="The tasks that it may use, with commas between. [default: all]"),
    click.option("--expires", metavar="WHEN", help="12h, 30d, 2027-01-31; never."),
    click.option("--owner", metavar="WHO", help="Whose it is: a note for people."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A note more; repeatable."),
    click.option("--admin/--user", "admin", default=None,
                 help="Whether it opens the admin API and the metrics; it then asks no model."),
    click.option("--cache", metavar="SPAN", help="How long answers are kept for identical requests: 10m; off."),
)  # fmt: skip


def _settings(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SETTINGS):
        function = option(function)
    return function


@click.command("create")
@click.argument("name")
@_settings
@as_json("Print the secret and the settings as JSON.")
def create(name: str, json_: bool, **given: Any) -> None:
    """Make a virtual key, and print its secret: once, alone on stdout.

    Its requests go to OpenRouter with your own key; what they cost stands in the ledger under NAME.
    """
    from ..callers import Caller

    with _house() as house:
        caller = _applied(house, Caller(name=name), given)
        secret = house.keys.create(caller)
        try:
            _show(house, name, secret, json_)
        except (tell.OutputFailed, BrokenPipeError):  # nobody has seen it, and nobody ever will
            house.keys.forget(name)
            raise
    tell.say(f"Made the key {name}. {_ONCE}")
    _note_idle(caller)


@click.command("list")
@as_json()
def list_(json_: bool) -> None:
    """Show all virtual keys."""
    from ..config.callers import told

    with _house() as house:
        found, now = house.keys.list(), _now()
    if json_:
        tell.out_json([told(one, now) for one in found])
    elif found:
        tell.out(tell.table([_HEADS, *(_row(one, now) for one in found)]))
    else:
        tell.out("There are no virtual keys.")
        tell.say("Make one with: byte keys create NAME", dim=True)


@click.command("show")
@click.argument("name")
@as_json()
def show(name: str, json_: bool) -> None:
    """Show a virtual key: what it may do, and how its limits and budgets stand."""
    from msgspec.structs import replace

    from ..config.callers import told
    from .limits import as_json_object, drawn

    with _house() as house:
        caller = house.keys.find(name)
        every = house.standing()
    standing = replace(
        every,
        limits=tuple(one for one in every.limits if (one.bucket.scope, one.bucket.of) == ("key", name)),
        budgets=tuple(one for one in every.budgets if (one.budget.scope, one.budget.of) == ("key", name)),
    )
    if json_:
        tell.out_json({**told(caller, _now()), "standing": as_json_object(standing)})
        return
    rows = [(label, _text(label, value)) for label, value in told(caller, _now()).items()]
    tell.out(tell.table([(label, text) for label, text in rows if text]))
    if standing.limits or standing.budgets:
        tell.out("\n" + drawn(standing, 0))


@click.command("update")
@click.argument("name")
@_settings
@as_json()
def update(name: str, json_: bool, **given: Any) -> None:
    """Change what a virtual key may do; its secret stays. What is given replaces what was: `--budget 5/day` is then its
    only budget. `off` lifts a limit or all budgets, `--models "*"` allows every model."""
    from ..config.callers import told

    with _house() as house:
        kept = house.keys.update(name, lambda found: _applied(house, found, given))
    if json_:
        tell.out_json(told(kept, _now()))
    else:
        tell.out(f"The key {name}: {_sentence(kept)}")
        _note_idle(kept)


@click.command("rotate")
@click.argument("name")
@click.option("--grace", metavar="SPAN", default="0", help="How long the old secret is accepted yet: 1h.")
@as_json("Print the secret and the settings as JSON.")
def rotate(name: str, grace: str, json_: bool) -> None:
    """Give a virtual key a new secret, and print that: once, alone on stdout."""
    from ..config.callers import seconds

    try:
        span = seconds(grace)
    except ValueError as exc:
        raise click.BadParameter(f"{exc}.", param_hint="'--grace'") from exc
    with _house() as house:
        secret = house.keys.rotate(name, float(span))
        _show(house, name, secret, json_)
    old = (
        f"The old one is accepted for {grace.strip()} yet."
        if span
        else "The old one is not accepted any more."
    )
    tell.say(f"A new secret for the key {name}. {old} {_ONCE}")


@click.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Accept a virtual key no more, for good. Gateways that run know within a second."""
    with _house() as house:
        was = house.keys.find(name).revoked is not None
        house.keys.revoke(name)
    tell.out(f"The key {name} was revoked already." if was else f"The key {name} is revoked.")
    tell.say(f"It is kept, so that its holder is told why. To remove it: byte keys forget {name}", dim=True)


@click.command("forget")
@click.argument("name")
def forget(name: str) -> None:
    """Remove a virtual key. What it has spent stays in the ledger, under its name."""
    with _house() as house:
        house.keys.forget(name)
        is_last = not house.keys.list()
    tell.out(f"The key {name} is removed.")
    if is_last:
        tell.note(
            "that was the last one. A gateway that is started now needs none, and listens on loopback only."
        )


COMMANDS = (create, list_, show, update, rotate, revoke, forget)


@contextmanager
def _house() -> Iterator[House]:
    """The house, where keys can be kept."""
    from ..client import Hub
    from ..errors import InvalidRequest

    with Hub() as hub:
        if hub.house.config.database_url == "memory:":
            raise InvalidRequest(
                "The ledger is kept in memory, so a key would be gone at once.",
                hint=("Set BYTE_DATABASE_URL=sqlite:///absolute/path, or leave it out.",),
            )
        yield hub.house


def _now() -> int:
    from ..io.clock import wall

    return wall()


def _applied(house: House, caller: Caller, given: dict[str, Any]) -> Caller:
    """The key as the options say it. What cannot be read is wrong usage."""
    from ..config.callers import apply
    from ..errors import InvalidRequest

    try:
        found = apply(
            caller,
            _said(given),
            task=lambda name: house.task(name).name,
            model=lambda name: house.named(name)[0],
            now=_now(),
        )
    except InvalidRequest as exc:
        raise click.BadParameter(_in_options(exc.message, given)) from exc
    for pattern in found.models:
        if not _is_listed(house, pattern):
            tell.warn(f"no model of the catalogue is called {pattern}.")
    return found


def _is_listed(house: House, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    catalog = house.models.current()
    if catalog is None or pattern.startswith(("local/", "~", "@", "openrouter/")):
        return True
    literal = pattern.replace("[", "[[]").replace("?", "[?]")
    return catalog.find(pattern) is not None or any(fnmatchcase(one, literal) for one in catalog.by_id)


def _in_options(sentence: str, given: dict[str, Any]) -> str:
    """What is wrong with a field, as a sentence on the option that was typed."""
    field, _, rest = sentence.partition(": ")
    option = _OPTIONS.get(field)
    if field == "requests":
        option = "--rpm" if given["rpd"] is None else "--rpd"
    if option is None or not rest:
        return sentence
    is_count = field in ("requests", "tokens")
    return f"{option}: " + ("expected a whole number from 1, or off." if is_count else rest)


def _refuse_empty(given: dict[str, Any]) -> None:
    """An option without a value may be a variable that nobody has set."""
    from ..config.callers import LIFTED

    counts = {"rpm": "requests", "rpd": "requests", "tpm": "tokens"}
    for name in ("models", "tasks", "budgets", "expires", *counts):
        texts = given[name] if isinstance(given[name], tuple) else (given[name],)
        if any(text is not None and not any(map(str.strip, text.split(","))) for text in texts):
            option = "--budget" if name == "budgets" else f"--{name}"
            raise click.BadParameter(f"{option} is empty; {LIFTED[counts.get(name, name)]}.")


def _said(given: dict[str, Any]) -> Said:
    """The options in the words of `Said`; one that was not given says nothing."""
    from msgspec import UNSET

    from ..config.callers import Said

    _refuse_empty(given)
    if given["rpm"] is not None and given["rpd"] is not None:
        raise click.BadParameter("--rpm and --rpd are one limit in two forms: give one of them.")
    per_day = given["rpd"] is not None
    requests = _per(given["rpd"], "day") if per_day else _per(given["rpm"], "minute")
    values: dict[str, Any] = {
        "role": None if given["admin"] is None else "admin" if given["admin"] else "user",
        "owner": given["owner"],
        "tags": tuple(one for one in given["tags"] if one) if given["tags"] else None,
        "models": _names(given["models"]),
        "tasks": _names(given["tasks"]),
        "requests": requests,
        "tokens": _per(given["tpm"], "minute"),
        "budgets": given["budgets"] or None,
        "expires": given["expires"],
        "cache": given["cache"],
    }
    return Said(**{name: UNSET if value is None else value for name, value in values.items()})


def _per(said: str | None, span: str) -> str | None:
    return said if said is None or not said.strip().lstrip("-").isdigit() else f"{said.strip()}/{span}"


def _names(said: tuple[str, ...]) -> tuple[str, ...] | None:
    names = (name.strip() for one in said for name in one.split(","))
    return tuple(name for name in names if name) if said else None


def _show(house: House, name: str, secret: str, json_: bool) -> None:
    from ..config.callers import told

    if json_:
        tell.out_json({"secret": secret, **told(house.keys.find(name), _now())})
    else:
        tell.out(secret)


def _row(one: Caller, now: int) -> tuple[str, ...]:
    from ..config.callers import moment_text

    state: str = one.state(now)
    if state == "active" and one.expires is not None:
        state = f"until {moment_text(one.expires)[:16].replace('T', ' ')}"
    return one.name, f"…{one.hint}", state, _may(one), _rates(one), _budgets(one), one.owner


def _may(one: Caller) -> str:
    if one.role == "admin":
        return "administration"
    return ", ".join((*one.models, *(f"byte/{task}" for task in one.tasks))) or "everything"


def _rates(one: Caller) -> str:
    from .limits import rate

    pairs = ((one.rates.requests, "requests"), (one.rates.tokens, "tokens"))
    return ", ".join(rate(limit, what) for limit, what in pairs if limit is not None)  # type: ignore[arg-type]


def _budgets(one: Caller) -> str:
    from ..config.callers import budget_text

    return ", ".join(map(budget_text, one.budgets))


def _note_idle(one: Caller) -> None:
    """Say what means nothing to a key that asks no model."""
    said = (one.models, one.tasks, one.budgets, one.rates.requests, one.rates.tokens)
    if one.role == "admin" and any(said):
        tell.note("an admin's key asks no model: what it may use and spend means nothing while it is one.")


def _sentence(one: Caller) -> str:
    """What it may do, on one line."""
    state = one.state(_now())
    parts = (
        _may(one),
        _rates(one),
        _budgets(one) and f"spends at most {_budgets(one)}",
        f"{state}, so nobody can use it" if state != "active" else "",
    )
    return "; ".join(part for part in parts if part) + "."


def _text(label: str, value: Any) -> str:
    if label == "cache" and value:
        from ..config.measures import span_text

        return span_text(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None or value == 0 else str(value)
