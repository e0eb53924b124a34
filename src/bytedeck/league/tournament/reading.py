"""What a tournament is asked for: its arguments, checked, and a file of prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec
from msgspec import Struct

from ... import arguments
from ...arena.judges.panel import LEAST
from ...errors import InvalidRequest
from .field import Aim, Terms

MOST_BATTLES = 100_000
MOST_AT_ONCE = 16
_BLANK = re.compile(r"\n[ \t]*\n")


def terms(
    prompts: str | Iterable[str],
    task: str,
    models: Iterable[str],
    battles: int,
    budget: Decimal | str | None,
    judges: int | Iterable[str],
    max_tokens: int,
    at_once: int,
    aim: str,
) -> Terms:
    """The arguments of `run`, checked. Raises InvalidRequest."""
    asked = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    if not asked or not all(isinstance(one, str) and one.strip() for one in asked):
        raise InvalidRequest("A tournament needs prompts, and none of them may be empty.")
    try:
        units = arguments.max_cost(budget)
    except InvalidRequest as error:
        raise InvalidRequest(error.message.replace("max_cost", "budget", 1), hint=error.hint) from error
    return Terms(
        prompts=asked,
        task=task,
        models=(models,) if isinstance(models, str) else tuple(models),
        battles=_whole("battles", battles, MOST_BATTLES),
        budget_units=units,
        judges=_panel(judges),
        max_tokens=max_tokens,
        at_once=_whole("at_once", at_once, MOST_AT_ONCE),
        aim=aimed(aim),
    )


def _panel(said: int | Iterable[str]) -> int | tuple[str, ...]:
    found = said if isinstance(said, int) else (said,) if isinstance(said, str) else tuple(said)
    count = found if isinstance(found, int) else len(found)
    if 0 < count < LEAST:
        raise InvalidRequest(
            f"A panel that rates has {LEAST} judges or more, and here {'is 1' if count == 1 else f'are {count}'}.",
            hint=("Name more of them, or 0: then people may vote.",),
        )
    return found


def aimed(said: str) -> Aim:
    """Raises InvalidRequest."""
    found: Aim | None = next((one for one in get_args(Aim) if one == said), None)
    if found is None:
        raise InvalidRequest(f'aim is {said!r}, and has to be "best" or "order".')
    return found


def _whole(name: str, said: object, most: int) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not 1 <= said <= most:
        raise InvalidRequest(f"{name} is {said!r}, and has to be a whole number from 1 to {most:,}.")
    return said


class _Line(Struct):
    """One line of a `.jsonl` file; what else stands there does not matter."""

    prompt: str


_decode_line = msgspec.json.Decoder(_Line).decode


def prompts(path: str | Path) -> tuple[str, ...]:
    """The prompts of a text file: a line each, or where blank lines stand between them, a block each. In a file that ends in
    `.jsonl` each line is an object with "prompt". Raises InvalidRequest for a file that cannot be read, or holds none."""
    path = Path(path)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else "it is not UTF-8"
        raise InvalidRequest(f"{path} cannot be read: {why}.") from exc
    found = _json_lines(path, text) if path.suffix == ".jsonl" else parted(text)
    if not found:
        raise InvalidRequest(f"{path} holds no prompt.", hint=("Write one in each line.",))
    return found


def parted(text: str) -> tuple[str, ...]:
    """A text's blocks with blank lines between them; its lines where there is no blank line."""
    blocks = tuple(one.strip("\n") for one in _BLANK.split(text.replace("\r\n", "\n").strip()) if one.strip())
    return blocks if len(blocks) > 1 else tuple(line for line in text.splitlines() if line.strip())


def _json_lines(path: Path, text: str) -> tuple[str, ...]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                prompt = _decode_line(line).prompt
            except msgspec.MsgspecError as exc:
                raise InvalidRequest(
                    f'{path}, line {number}: expected an object with "prompt": {exc}.'
                ) from exc
            if prompt.strip():
                found.append(prompt)
    return tuple(found)
