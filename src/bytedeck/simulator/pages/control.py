"""The simulator's own pages, `/sim/…`: what it saw, what it charged, and the switches for its clock, faults and money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec
from msgspec import Struct

from .. import clock, journal
from ..faults import table as faults
from ..refusals import named as refusals
from ..request import Request
from ..settings import Settings

_MOST = 1000
"""How many entries of the journal one answer holds unless `limit` says more."""


def _index(app: Any, request: Request) -> Any:
    """These pages."""
    own = [
        {"method": method, "path": path, "what": (page.__doc__ or "").split("\n")[0]}
        for method, path, page in PAGES
        if page is not _index
    ]
    return {"base_url": "/api/v1", "pages": own}


def _health(app: Any, request: Request) -> Any:
    """Whether it runs, its clock and its seed."""
    return {"ok": True, "now": app.world.clock.now(), "seed": app.world.settings.seed}


def _journal(app: Any, request: Request) -> Any:
    """The requests so far, the newest last; since, model, path and limit choose."""
    query = request.query
    _only(query, ("since", "model", "path", "limit"))
    limit, since = _whole(query, "limit", _MOST), _whole(query, "since", 0)
    found = app.world.journal.find(
        since=since, model=query.get("model", "*"), path=query.get("path", "*"), limit=limit
    )
    return {"data": [journal.shown(entry) for entry in found]}


def _ledger(app: Any, request: Request) -> Any:
    """What was charged, one row a generation."""
    return {"data": app.world.bank.ledger()}


def _clock(app: Any, request: Request) -> Any:
    """What the clock shows."""
    ticking = app.world.clock
    return {"now": ticking.now(), "frozen": ticking.frozen}


class _Move(Struct, forbid_unknown_fields=True):
    advance: float | None = None
    set: float | str | None = None
    freeze: bool | None = None


def _move(app: Any, request: Request) -> Any:
    """Move the clock: advance, set, freeze."""
    move, ticking = _read(request, _Move), app.world.clock
    if move.set is not None:
        ticking.set(clock.moment(move.set))
    if move.advance is not None:
        ticking.advance(move.advance)
    if move.freeze is not None:
        _ = ticking.freeze() if move.freeze else ticking.thaw()
    return _clock(app, request)


def _faults(app: Any, request: Request) -> Any:
    """Every fault and what it takes."""
    return {"data": faults.listed()}


def _script(app: Any, request: Request) -> Any:
    """The faults over time that are in force."""
    playing = app.world.script
    return {"since": playing.since, "data": playing.listed()}


def _play(app: Any, request: Request) -> Any:
    """This script in the old one's place."""
    app.world.set_faults(_any(request))
    return _script(app, request)


def _add(app: Any, request: Request) -> Any:
    """These entries besides."""
    app.world.add_faults(_any(request))
    return _script(app, request)


def _stop(app: Any, request: Request) -> Any:
    """Good weather: no script."""
    app.world.set_faults([])
    return _script(app, request)


def _reset(app: Any, request: Request) -> Any:
    """A world as new; settings that are named in the body replace the present ones."""
    if not request.raw:
        app.reset()
        return {"ok": True}
    changed = _any(request)
    known = set(Settings.__struct_fields__) - {"host", "port", "control_hosts"}
    if not isinstance(changed, dict) or (unknown := changed.keys() - known):
        what = ", ".join(sorted(unknown)) if isinstance(changed, dict) else "the body"
        raise refusals.invalid(f"{what}: reset takes an object of {', '.join(sorted(known))}.")
    merged = msgspec.structs.asdict(app.settings) | changed
    try:
        app.reset(msgspec.convert(merged, Settings))
    except msgspec.ValidationError as exc:
        raise refusals.invalid(f"{exc}.") from exc
    return {"ok": True}


def _stats(app: Any, request: Request) -> Any:
    """What is open at this moment."""
    return app.stats()


def _accounts(app: Any, request: Request) -> Any:
    """All accounts with their credits."""
    return {"data": app.world.accounts()}


def _keys(app: Any, request: Request) -> Any:
    """All keys with what they may spend."""
    return {"data": app.world.keys()}


class _Account(Struct, forbid_unknown_fields=True):
    name: str
    credits: str | None = None
    top_up: str | None = None


def _set_account(app: Any, request: Request) -> Any:
    """A new account with so many credits, or a top-up of one that is there."""
    asked = _read(request, _Account)
    app.world.set_account(asked.name, _amount(asked.credits), _amount(asked.top_up))
    return _accounts(app, request)


class _Key(Struct, forbid_unknown_fields=True):
    key: str
    account: str | None = None
    name: str | None = None
    limit: str | None = None
    limit_reset: Literal["daily", "weekly", "monthly"] | None = None
    disabled: bool | None = None


def _set_key(app: Any, request: Request) -> Any:
    """A new key of an account, or other fields of one that is there."""
    asked = _read(request, _Key)
    fields = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    token = fields.pop("key")
    if "limit" in fields:
        fields["limit"] = _amount(fields["limit"])
    app.world.set_key(token, fields)
    return _keys(app, request)


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise refusals.invalid(f'{text!r} is no amount: money is decimal text, as in "12.50".')
    return amount


def _read(request: Request, kind: Any) -> Any:
    try:
        return msgspec.json.decode(request.raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise refusals.invalid(f"{request.method} {request.path}: {exc}.") from exc


def _any(request: Request) -> Any:
    return _read(request, Any)


def _only(query: Mapping[str, str], known: tuple[str, ...]) -> None:
    if unknown := query.keys() - set(known):
        raise refusals.invalid(f"{', '.join(sorted(unknown))}: this page takes {', '.join(known)}.")


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal():
        raise refusals.invalid(f"{name} is {text!r}, and has to be a whole number.")
    return int(text)


PAGES: tuple[tuple[str, str, Callable[[Any, Request], Any]], ...] = (
    ("GET", "/", _index),
    ("GET", "/sim/", _index),
    ("GET", "/sim/health", _health),
    ("GET", "/sim/journal", _journal),
    ("GET", "/sim/ledger", _ledger),
    ("GET", "/sim/clock", _clock),
    ("POST", "/sim/clock", _move),
    ("GET", "/sim/faults", _faults),
    ("GET", "/sim/script", _script),
    ("PUT", "/sim/script", _play),
    ("POST", "/sim/script", _add),
    ("DELETE", "/sim/script", _stop),
    ("POST", "/sim/reset", _reset),
    ("GET", "/sim/stats", _stats),
    ("GET", "/sim/accounts", _accounts),
    ("POST", "/sim/accounts", _set_account),
    ("GET", "/sim/keys", _keys),
    ("POST", "/sim/keys", _set_key),
)
"""Method, path, page."""
