"""Values that a JSON schema accepts: the arguments of tool calls and the answers in JSON.

A value is made up along the schema and then judged by a real validator; one that it refuses is made up anew, with
other chances and less depth. What no attempt satisfies (a contradiction) is given as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from random import Random
from typing import Any, TypeAlias

import jsonschema_rs
import msgspec

from . import language as words
from . import patterns

Schema: TypeAlias = dict[str, Any]

_ATTEMPTS = 24
_ENDLESS = 3
"""Attempts after which a schema that never ends is given up."""
_DEPTH = 6
_KNOWN = frozenset(
    {
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema",
        "http://json-schema.org/draft-06/schema",
        "http://json-schema.org/draft-04/schema",
    }
)
"""The drafts that the validator has with it; any other `$schema` it would fetch."""
_DEEPEST = 40
# Bounds for schemas that ask for gigabytes or never end.
_VALUES = 4_000
_CHARACTERS = 50_000
_ITEMS = 1_000
_KEYWORDS = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_TIGHTER = {
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "minProperties": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
    "maxProperties": min,
}


class _Spent(Exception):
    """This attempt has made as much as one may: the schema has no end."""


def sample(schema: Any, *seed: object) -> Any:
    """A value that the schema accepts; the same for the same seed. `{}` for what is no schema."""
    if not isinstance(schema, dict):
        return {}
    schema = _local(schema)
    is_schema, accepts = _judge(msgspec.json.encode(schema))
    value: Any = {}
    for attempt in range(_ATTEMPTS if is_schema else 0):
        maker = _Maker(schema, words.stream("schema", attempt, *seed), max(1, _DEPTH - attempt // 3))
        try:
            value = maker.value(schema, 0)
        except _Spent:
            if attempt >= _ENDLESS:
                break
            continue
        if accepts is None or accepts.is_valid(value):
            break
    return value


def _local(schema: Any) -> Any:
    """The schema without the drafts that nobody knows, at any depth."""
    if isinstance(schema, list):
        return [_local(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    draft = schema.get("$schema")  # a property of this name is no text
    foreign = isinstance(draft, str) and draft.rstrip("#") not in _KNOWN
    return {key: _local(part) for key, part in schema.items() if not (foreign and key == "$schema")}


@lru_cache(maxsize=256)
def _judge(text: bytes) -> tuple[bool, Any]:
    """Whether it is a schema at all, and its validator; None where it refers to what is not in it."""
    schema = msgspec.json.decode(text)
    try:
        if not jsonschema_rs.meta.is_valid(schema):
            return False, None
    except (ValueError, jsonschema_rs.ReferencingError):  # a draft that nobody knows
        return False, None
    try:
        return True, jsonschema_rs.validator_for(schema, validate_formats=True, retriever=_foreign)
    except (ValueError, jsonschema_rs.ReferencingError):
        return True, None


def _foreign(uri: str) -> Any:
    raise ValueError(f"{uri} is not read: the simulator asks nobody")


class _Maker:
    """One attempt: the schema's root for references, chance, and how deep optional things may go."""

    def __init__(self, root: Schema, chance: Random, depth: int) -> None:
        self.root = root
        self.chance = chance
        self.depth = depth
        self.left = _VALUES

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Spent

    def value(self, schema: Any, level: int) -> Any:
        self.spend()
        if not isinstance(schema, dict) or level > _DEEPEST:
            return None if schema is not True else words.exactly(self.chance, 2)
        schema = self.settled(schema, level)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            return self.chance.choice(options)
        return getattr(self, f"a_{self.kind(schema)}")(schema, level)

    def settled(self, schema: Schema, level: int) -> Schema:
        """The schema with its references followed and one alternative chosen."""
        for _ in range(_DEEPEST if level <= _DEEPEST else 0):
            self.spend()
            if isinstance(reference := schema.get("$ref"), str):
                rest = {key: part for key, part in schema.items() if key != "$ref"}
                schema = merged(self.resolved(reference), rest)
            elif parts := schema.get("allOf"):
                schema = {key: part for key, part in schema.items() if key != "allOf"}
                for part in parts:
                    schema = merged(schema, self.settled(part, level + 1) if isinstance(part, dict) else {})
            elif key := next((key for key in ("anyOf", "oneOf") if schema.get(key)), ""):
                rest = {name: part for name, part in schema.items() if name != key}
                schema = merged(rest, self.alternative(schema[key], level))
            else:
                break
        return schema

    def alternative(self, options: list[Any], level: int) -> Schema:
        fit = [option for option in options if isinstance(option, dict)] or [{}]
        if level > self.depth:
            return min(fit, key=lambda option: len(msgspec.json.encode(self.shallow(option))))
        return self.chance.choice(fit)

    def shallow(self, option: Schema) -> Schema:
        reference = option.get("$ref")
        return self.resolved(reference) if isinstance(reference, str) else option

    def resolved(self, reference: str) -> Schema:
        found: Any = self.root
        for step in reference.lstrip("#").strip("/").split("/") if reference.strip("#/") else ():
            name = step.replace("~1", "/").replace("~0", "~").replace("%25", "%")
            if isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def kind(self, schema: Schema) -> str:
        told = schema.get("type")
        if isinstance(told, list):
            told = self.chance.choice([each for each in told if each != "null"] or ["null"])
        if not told:
            told = next(
                (kind for kind, keys in _KEYWORDS.items() if any(key in schema for key in keys)), "string"
            )
        return told if hasattr(self, f"a_{told}") else "string"

    def a_null(self, schema: Schema, level: int) -> None:
        return None

    def a_boolean(self, schema: Schema, level: int) -> bool:
        return self.chance.random() < 0.5

    def a_integer(self, schema: Schema, level: int) -> int:
        low, high = _bounds(schema, 1)
        step = schema.get("multipleOf")
        if not step:
            return self.chance.randint(math.ceil(low), max(math.ceil(low), math.floor(high)))
        return int(self.multiple(low, high, Decimal(str(step))))

    def a_number(self, schema: Schema, level: int) -> int | float:
        low, high = _bounds(schema, 0)
        step = schema.get("multipleOf")
        if step:
            return float(self.multiple(low, high, Decimal(str(step))))
        return float(low + (high - low) * Decimal(self.chance.randint(1, 99)) / 100)

    def multiple(self, low: Decimal, high: Decimal, step: Decimal) -> Decimal:
        try:
            first, last = -(-low // step), high // step
        except InvalidOperation:  # more digits than anybody counts
            return low
        return step * self.chance.randint(int(first), max(int(first), int(last)))

    def a_string(self, schema: Schema, level: int) -> str:
        least = min(int(schema.get("minLength", 0)), _CHARACTERS)
        most = int(schema.get("maxLength", max(least, 60)))
        if pattern := schema.get("pattern"):
            try:
                return patterns.matching(pattern, self.chance)
            except patterns.Unknown:
                return words.exactly(self.chance, 2)
        if made := _FORMATS.get(str(schema.get("format"))):
            return made(self.chance)
        text = words.exactly(self.chance, self.chance.randint(1, 6))
        if len(text) < least:
            text = words.exactly(self.chance, least)  # a word has a letter and a space, at the least
        return text[:most]

    def a_array(self, schema: Schema, level: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        if isinstance(schema.get("contains"), dict):
            least = max(least, int(schema.get("minContains", 1)))
        most = int(schema.get("maxItems", max(least, 3)))
        size = least if level > self.depth else self.chance.randint(min(max(least, 1), most), most)
        fixed, items = schema.get("prefixItems") or [], schema.get("items", {})
        if isinstance(items, list):  # draft 7 has the tuple here
            fixed, items = items, schema.get("additionalItems", {})
        if schema.get("contains") and not items:
            items = schema["contains"]
        if items is False:
            size = min(size, len(fixed))
        made: list[Any] = []
        for at in range(min(size, _ITEMS)):
            made.append(self.item(fixed[at] if at < len(fixed) else items, level, made, schema))
        return made

    def item(self, schema: Any, level: int, made: list[Any], whole: Schema) -> Any:
        value = self.value(schema, level + 1)
        for _ in range(_ATTEMPTS):
            if not whole.get("uniqueItems") or value not in made:
                break
            value = self.value(schema, level + 1)
        return value

    def a_object(self, schema: Schema, level: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = list(schema.get("required") or ())
        most = int(schema.get("maxProperties", 1_000))
        made: dict[str, Any] = {}
        for name, part in properties.items():
            wanted = level < self.depth and self.chance.random() < 0.8 and part is not False
            if name in required or (wanted and len(made) + len(set(required) - made.keys()) < most):
                made[name] = self.value(part, level + 1)
        for name in required:
            made.setdefault(name, None)
            if name not in properties:
                made[name] = self.value(self.further(schema, name), level + 1)
        self.fill(schema, made, level)
        return made

    def further(self, schema: Schema, name: str) -> Any:
        extra = schema.get("additionalProperties", {})
        return extra if isinstance(extra, dict) else {}

    def fill(self, schema: Schema, made: dict[str, Any], level: int) -> None:
        """Further properties, where the schema is a map or asks for more of them."""
        least = int(schema.get("minProperties", 0))
        by_pattern: Schema = schema.get("patternProperties") or {}
        is_map = isinstance(schema.get("additionalProperties"), dict) or by_pattern
        if not made and is_map and level < self.depth:
            least = max(least, min(2, int(schema.get("maxProperties", 2))))
        for _ in range(_ATTEMPTS * 4):
            if len(made) >= least:
                break
            pattern, part = next(iter(by_pattern.items()), ("", self.further(schema, "")))
            made[self.name(pattern, schema)] = self.value(part, level + 1)
        for name, part in (schema.get("dependentRequired") or {}).items():
            for other in part if name in made else ():
                made.setdefault(other, self.value((schema.get("properties") or {}).get(other, {}), level + 1))

    def name(self, pattern: str, schema: Schema) -> str:
        if names := schema.get("propertyNames"):
            return str(self.value({"type": "string", **names} if isinstance(names, dict) else {}, _DEPTH))
        if not pattern:
            return words.exactly(self.chance, 2).lower().replace(" ", "_").strip(",.")
        try:
            return patterns.matching(pattern, self.chance)
        except patterns.Unknown:
            return words.exactly(self.chance, 1)


def merged(first: Schema, second: Schema) -> Schema:
    """Both schemas' demands in one; where they differ, the tighter or the second's."""
    both = first | second
    for key in first.keys() & second.keys():
        one, two = first[key], second[key]
        if key in _TIGHTER:
            both[key] = _TIGHTER[key](one, two)
        elif key in ("properties", "$defs", "patternProperties"):
            both[key] = one | {name: _both(one.get(name), part) for name, part in two.items()}
        elif key == "required":
            both[key] = [*one, *(name for name in two if name not in one)]
        elif key == "enum":
            both[key] = [option for option in one if option in two] or two
        elif key == "type":
            both[key] = _common(one, two)
        elif key == "allOf":
            both[key] = [*one, *two]
    return both


def _both(one: Any, two: Any) -> Any:
    return {"allOf": [one, two]} if isinstance(one, dict) and isinstance(two, dict) else two


def _common(one: Any, two: Any) -> Any:
    told = [set(kind) if isinstance(kind, list) else {kind} for kind in (one, two)]
    if any("number" in kinds for kinds in told) and any("integer" in kinds for kinds in told):
        return "integer"
    return sorted(told[0] & told[1]) or two


def _bounds(schema: Schema, step: int) -> tuple[Decimal, Decimal]:
    """Least and greatest number; `step` is what an exclusive bound is moved by, 0: it stays, and is not used."""
    low = _number(schema, "minimum")
    high = _number(schema, "maximum")
    above, below = _number(schema, "exclusiveMinimum"), _number(schema, "exclusiveMaximum")
    if above is not None and (low is None or above >= low):
        low = above // 1 + step if step else above
    if below is not None and (high is None or below <= high):
        high = -(-below // 1) - step if step else below
    if low is None:
        low = Decimal(0) if high is None or high >= 0 else high - 100
    if high is None:
        high = low + 100
    return low, high


def _number(schema: Schema, key: str) -> Decimal | None:
    told = schema.get(key)
    return Decimal(str(told)) if isinstance(told, int | float) and not isinstance(told, bool) else None


def _hex(chance: Random, digits: int) -> str:
    return f"{chance.getrandbits(4 * digits):0{digits}x}"


def _uuid(chance: Random) -> str:
    return f"{_hex(chance, 8)}-{_hex(chance, 4)}-4{_hex(chance, 3)}-a{_hex(chance, 3)}-{_hex(chance, 12)}"


def _date(chance: Random) -> str:
    return f"{chance.randint(1990, 2029)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def _time(chance: Random) -> str:
    return f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}Z"


def _plain(chance: Random) -> str:
    return chance.choice(("river", "lantern", "harbour", "compass", "violin", "penguin"))


_FORMATS: Mapping[str, Callable[[Random], str]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda chance: f"{_date(chance)}T{_time(chance)}",
    "duration": lambda chance: f"P{chance.randint(1, 30)}DT{chance.randint(1, 23)}H",
    "email": lambda chance: f"{_plain(chance)}@example.com",
    "idn-email": lambda chance: f"{_plain(chance)}@example.com",
    "hostname": lambda chance: f"{_plain(chance)}.example.com",
    "idn-hostname": lambda chance: f"{_plain(chance)}.example.com",
    "ipv4": lambda chance: f"192.0.2.{chance.randint(1, 254)}",
    "ipv6": lambda chance: f"2001:db8::{chance.randint(1, 9999)}",
    "uri": lambda chance: f"https://example.com/{_plain(chance)}",
    "iri": lambda chance: f"https://example.com/{_plain(chance)}",
    "uri-reference": lambda chance: f"/{_plain(chance)}",
    "uuid": _uuid,
    "json-pointer": lambda chance: f"/{_plain(chance)}/0",
    "regex": lambda chance: f"^{_plain(chance)}$",
}
