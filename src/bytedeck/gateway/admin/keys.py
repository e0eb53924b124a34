"""Virtual keys, by the admin API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ...callers import Caller
from ...config.callers import apply, seconds, told
from ...errors import CallerError, InvalidRequest
from ...io.keys import Keys as Store
from ..asgi import Refused
from ..door.access import now
from .asked import Asked
from .shapes import Key, Keys, KeyWithSecret

_T = TypeVar("_T")
_CONFLICT, _UNPROCESSABLE = 409, 422


async def every(asked: Asked) -> Keys:
    """All of them, page by page."""
    store, query = asked.app.hub.house.keys, asked.query

    def page() -> Keys:
        found = [one for one in store.list() if one.name > query.after]
        is_more = len(found) > query.limit
        found = found[: query.limit]
        return Keys(data=[_told(one) for one in found], next=found[-1].name if is_more else None)

    return await asyncio.to_thread(page)


async def one(asked: Asked) -> Key:
    """One by its name."""
    store = asked.app.hub.house.keys
    return _told(await asyncio.to_thread(store.find, asked.names["name"]))


async def create(asked: Asked) -> KeyWithSecret:
    """A new one; its secret is told this once."""
    house, name = asked.app.hub.house, asked.body.name

    def make() -> KeyWithSecret:
        caller = _said(asked, Caller(name=name))
        try:
            secret = house.keys.create(caller)
        except InvalidRequest as error:
            if _is_there(house.keys, name):
                raise Refused(_CONFLICT, f"There is a key {name} already.", field="name") from error
            raise
        return KeyWithSecret(key=_told(house.keys.find(name)), secret=secret)

    return await _changed(asked, make)


async def change(asked: Asked) -> Key:
    """What it may do from now on."""
    store, name = asked.app.hub.house.keys, asked.names["name"]
    if asked.body.role == "user":
        _check_other(asked, "cannot give up its own role")
    return await _changed(asked, lambda: _told(store.update(name, lambda found: _said(asked, found))))


async def rotate(asked: Asked) -> KeyWithSecret:
    """Another secret, told this once."""
    store, name = asked.app.hub.house.keys, asked.names["name"]

    def turn() -> KeyWithSecret:
        grace = _grace(asked.body.grace)
        if (state := store.find(name).state(now())) != "active":
            raise Refused(
                _CONFLICT, f"The key {name} is {state}: a new secret would not be accepted, either."
            )
        secret = store.rotate(name, grace)
        return KeyWithSecret(key=_told(store.find(name)), secret=secret)

    return await _changed(asked, turn)


async def revoke(asked: Asked) -> Key:
    """It is accepted no more, for good."""
    store, name = asked.app.hub.house.keys, asked.names["name"]
    _check_other(asked, "cannot revoke itself")
    return await _changed(asked, lambda: _told(store.revoke(name)))


async def forget(asked: Asked) -> None:
    """It is gone; the ledger keeps its rows."""
    store, name = asked.app.hub.house.keys, asked.names["name"]
    _check_other(asked, "cannot remove itself")
    await _changed(asked, lambda: store.forget(name))


def _check_other(asked: Asked, what: str) -> None:
    """Raises Refused where a key would lock itself out, and with the last admin's everybody."""
    if asked.caller is not None and asked.caller.name == asked.names["name"]:
        said = (
            f"The key {asked.caller.name} {what}. Use another admin's key, or the terminal: byte keys --help"
        )
        raise Refused(_CONFLICT, said)


def _is_there(store: Store, name: str) -> bool:
    try:
        store.find(name)
    except InvalidRequest:
        return False
    return True


async def _changed(asked: Asked, do: Callable[[], _T]) -> _T:
    """Done off the loop; what is wrong with a value is 422. This process knows of it when the answer goes out."""
    try:
        found = await asyncio.to_thread(do)
    except Refused:
        raise
    except CallerError as error:
        if error.code == "unknown_key":
            raise
        raise _wrong(error) from error
    await asked.app.access.refresh()
    return found


def _said(asked: Asked, caller: Caller) -> Caller:
    house = asked.app.hub.house
    return apply(
        caller,
        asked.body,
        task=lambda name: house.task(name).name,
        model=lambda name: house.named(name)[0],
        now=now(),
    )


def _grace(said: str | int) -> float:
    try:
        return float(seconds(str(said)))
    except ValueError as exc:
        raise InvalidRequest(f"grace: {exc}.") from exc


def _wrong(error: CallerError) -> Refused:
    """The field stands before the colon, where the sentence is about one."""
    field, _, rest = error.message.partition(": ")
    is_field = bool(rest) and field.isidentifier()
    sentence = " ".join((error.message, *error.hint))
    return Refused(_UNPROCESSABLE, sentence, field=field if is_field else "")


def _told(caller: Caller) -> Key:
    return msgspec.convert(told(caller, now()), Key)
