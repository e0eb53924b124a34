"""What a caller's arguments mean. Each function raises InvalidRequest for what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeGuard, TypeVar, get_args

from msgspec import MsgspecError, Struct, convert, structs

from .errors import InvalidRequest
from .money import to_units
from .types import UNSAID, Failover, Message, Policy, Timeouts

StructT = TypeVar("StructT", bound=Struct)

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def messages(prompt: object, system: str) -> tuple[Message, ...]:
    """A text is one turn of the user's; a system message of the caller's stands in front."""
    if isinstance(prompt, str):
        if not prompt.strip():
            raise InvalidRequest("The prompt is empty.", hint=("Say what you want to know.",))
        found: tuple[Message, ...] = ({"role": "user", "content": prompt},)
    elif _is_listed(prompt):
        found = tuple(_message(place, message) for place, message in enumerate(prompt))
    else:
        raise InvalidRequest(
            f"The prompt is {type(prompt).__name__}, and has to be a text or a list of messages."
        )
    return ({"role": "system", "content": system}, *found) if system else found


def chain(model: object) -> tuple[str, ...]:
    """One name, several, or "" for none. An empty list names nothing, and is no way to say so."""
    if isinstance(model, str):
        return (model,) if model else ()
    names = tuple(model) if _is_listed(model) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidRequest(f"model is {model!r}, and has to be a model's name, or a list of names.")
    return names


def _is_listed(found: object) -> TypeGuard[Iterable[Any]]:
    """Whether there may be several in it."""
    # An abstract class is asked last: that takes ten times as long.
    if isinstance(found, (list, tuple)):
        return True
    return isinstance(found, Iterable) and not isinstance(found, (bytes, Mapping))


def _message(place: int, message: object) -> Message:
    if not isinstance(message, (dict, Mapping)):
        raise InvalidRequest(
            f"messages[{place}] is {type(message).__name__}, and has to be a mapping with a role."
        )
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        known = ", ".join(sorted(_ROLES))
        raise InvalidRequest(f"messages[{place}] has the role {role!r}; known roles are {known}.")
    return message if isinstance(message, dict) else dict(message)


def seconds(timeout: object) -> float | None:
    """A bare number bounds the whole request, and leaves the task's other bounds as they are."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidRequest(f"timeout is {timeout!r}, and has to be a number of seconds above 0.")
    return float(timeout)


def timeouts(bounds: Timeouts) -> Timeouts:
    """Every bound has to be one."""
    found = _checked(bounds, "timeout")
    for name, bound in structs.asdict(found).items():
        if not bound > 0:
            raise InvalidRequest(f"timeout has {name} = {bound!r}, and that has to be above 0.")
    return found


def _checked(said: StructT, name: str) -> StructT:
    """A struct whose fields are of the types that it tells: its own constructor takes anything."""
    try:
        return convert(structs.asdict(said), type(said))
    except MsgspecError as exc:
        raise InvalidRequest(f"{name} is {said!r}, which cannot be read: {exc}.") from exc


def flag(name: str, said: object) -> bool:
    """True or False, and nothing that is merely taken for one."""
    if not isinstance(said, bool):
        raise InvalidRequest(f"{name} is {said!r}, and has to be True or False.")
    return said


def policy(said: object) -> Policy:
    """One word is the way in which a broken answer is taken up."""
    if said is None:
        return UNSAID
    if isinstance(said, Policy):
        return _checked(said, "policy")
    if said in get_args(Failover):
        return Policy(failover=said)  # type: ignore[arg-type]
    known = ", ".join(f'"{one}"' for one in get_args(Failover))
    raise InvalidRequest(f"policy is {said!r}, and has to be one of {known}, or a Policy.")


def max_cost(amount: object) -> int | None:
    """USD as units; None: no bound."""
    if amount is None:
        return None
    if not isinstance(amount, Decimal | str):  # whoever does not check types would lose cents
        raise InvalidRequest('max_cost is money: give it as text ("0.05") or Decimal, not as a float.')
    try:
        units = to_units(amount)
    except ValueError:
        units = 0
    if units <= 0:
        raise InvalidRequest(f"max_cost is {amount!r}, and has to be an amount in USD above 0.")
    return units
