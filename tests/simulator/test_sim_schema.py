"""Values by JSON schema: whatever the schema, a real validator accepts what is made up."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.simulator.words import language as words
from bytedeck.simulator.words import patterns, schema

NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "more": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "left", "more"],
            "additionalProperties": False,
        }
    },
}
CASES: dict[str, Any] = {
    "nothing asked": {},
    "a function without parameters": {"type": "object", "properties": {}},
    "string": {"type": "string", "minLength": 3, "maxLength": 9},
    "long string": {"type": "string", "minLength": 900},
    "enum": {"enum": ["a", 2, None]},
    "const": {"const": {"a": [1]}},
    "integer": {"type": "integer", "minimum": -3, "exclusiveMaximum": 4, "multipleOf": 2},
    "integer between fractions": {"type": "integer", "minimum": 0.5, "maximum": 1.5},
    "number": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "narrow number": {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2},
    "negative": {"type": "number", "maximum": -5},
    "multiple of a cent": {"type": "number", "multipleOf": 0.01, "minimum": 1, "maximum": 2},
    "nullable": {"type": ["string", "null"]},
    "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4, "uniqueItems": True},
    "tuple": {"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    "contains": {"type": "array", "contains": {"const": 7}},
    "empty list": {"type": "array", "maxItems": 0},
    "closed object": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
        "required": ["a", "c"],
        "additionalProperties": {"type": "string"},
    },
    "map": {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 3, "maxProperties": 5},
    "map by pattern": {"patternProperties": {"^x-[a-z]{3}$": {"type": "null"}}, "additionalProperties": False},
    "names": {"type": "object", "propertyNames": {"pattern": "^[A-Z]{4}$"}, "minProperties": 2},
    "depends": {"type": "object", "properties": {"a": {}, "b": {"type": "null"}}, "dependentRequired": {"a": ["b"]}},
    "any": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["x"], "properties": {"x": {"const": 1}}}]},
    "one": {"oneOf": [{"type": "number", "multipleOf": 5}, {"type": "number", "multipleOf": 3}]},
    "all": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "number", "minimum": 2}}, "required": ["a"]},
            {"properties": {"a": {"type": "integer", "maximum": 3}, "b": {"const": 0}}, "required": ["b"]},
        ]
    },
    "not": {"type": "integer", "minimum": 1, "maximum": 3, "not": {"const": 2}},
    "if": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "extra": {"type": "string"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["extra"]},
    },
    "recursive": NODE,
    "reference with siblings": {"$ref": "#/$defs/n", "maximum": 3, "$defs": {"n": {"type": "integer", "minimum": 2}}},
    "escaped reference": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 5}}},
    "reference into a list": {"anyOf": [{"const": 1}, {"$ref": "#/anyOf/0"}]},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(x|yz)?$"},
    "tuple of draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [{"type": "string"}, {"type": "null"}],
        "additionalItems": False,
        "minItems": 2,
    },
    "all of an enum": {"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 4]}]},
    "all of types": {"allOf": [{"type": ["string", "null"]}, {"type": ["null", "integer"]}]},
    "all of required": {"allOf": [{"required": ["a"]}, {"required": ["a", "b"]}], "type": "object"},
    "true": {"type": "object", "properties": {"a": True}, "required": ["a"]},
} | {
    f"format {name}": {"type": "string", "format": name}
    for name in ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_value_fits_its_schema(name: str) -> None:
    """Twenty seeds each; formats count."""
    accepts = jsonschema_rs.validator_for(CASES[name], validate_formats=True)
    for seed in range(20):
        value = schema.sample(CASES[name], seed)
        assert accepts.is_valid(value), value


def test_the_same_seed_makes_the_same_value() -> None:
    """Another seed makes another one."""
    wanted = CASES["closed object"]
    assert schema.sample(wanted, "a") == schema.sample(wanted, "a")
    assert len({str(schema.sample(wanted, seed)) for seed in range(20)}) > 15


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        True,
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#"},
        {"type": "odd"},
        {"type": 7},
        {"enum": []},
        {"type": "integer", "minimum": 5, "maximum": 1},
        {"type": "string", "pattern": "(?=x)("},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**12},
        {"type": "string", "minLength": "many"},
        {"properties": 3, "required": "a"},
        {"type": "number", "minimum": 1e308, "multipleOf": 1e-9},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
        {"$schema": "https://example.com/schema", "type": "string"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "propertyNames": False, "minProperties": 1},
        {"patternProperties": {"(?=a)": {}}},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
    ],
)
def test_what_cannot_be_fulfilled_gives_something_all_the_same(wanted: Any) -> None:
    """A contradiction, a foreign reference or what is no schema never ends in a crash."""
    schema.sample(wanted, 1)


LEAVES = st.one_of(
    st.builds(
        lambda a, b: {"type": "integer", "minimum": a, "maximum": a + b},
        st.integers(-99, 99),
        st.integers(0, 50),
    ),
    st.builds(
        lambda a, b: {"type": "string", "minLength": a, "maxLength": a + b},
        st.integers(0, 80),
        st.integers(0, 9),
    ),
    st.builds(lambda a: {"type": "number", "exclusiveMinimum": a}, st.integers(-9, 9)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"enum": [1, "two"]}, {"const": [3]}, {}]),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.builds(lambda each, n: {"type": "array", "items": each, "minItems": n}, part, st.integers(0, 3)),
        st.builds(lambda each: {"anyOf": each}, st.lists(part, min_size=1, max_size=3)),
        st.builds(
            lambda each, closed: {
                "type": "object",
                "properties": each,
                "required": list(each)[::2],
                "additionalProperties": not closed,
            },
            st.dictionaries(st.sampled_from("abcdef"), part, max_size=4),
            st.booleans(),
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.integers())
def test_any_schema_of_the_usual_kind_is_fulfilled(wanted: dict[str, Any], seed: int) -> None:
    """What structured outputs are made of, nested as it likes."""
    assert jsonschema_rs.validator_for(wanted).is_valid(schema.sample(wanted, seed))


@pytest.mark.parametrize(
    "pattern",
    ["^a+b*c?$", "x|yz", "(ab){2}", "[^a-z]", "[\\w.-]+@[a-z]+\\.com", "\\d{4}-\\d\\d", "(?:a|b)+", "(?P<n>q)", "\\u0041",
     "[a\\]]", "^$", "a{0}", "\\S\\s\\D", "[+-]?\\d+(\\.\\d+)?", "(?<n>r)", "[-a]", "a.c"],
)  # fmt: skip
def test_a_text_fits_its_pattern(pattern: str) -> None:
    """Python's own expressions find it."""
    python = pattern.replace("(?<n>", "(?P<n>")
    for seed in range(30):
        assert re.search(python, patterns.matching(pattern, words.stream(seed)))


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(",
        ")",
        "[",
        "a**",
        "*",
        "\\1",
        "\\p{L}",
        "a{3",
        "a{3,1}",
        "a{9999999}",
        "((a{999}){999}){999}",
        "(?P<n",
        "[]",
        "a{x}",
        "\\",
        "\\xzz",
    ],
)
def test_an_unknown_pattern_says_so(pattern: str) -> None:
    """Instead of a text that does not fit, or one that fills the memory."""
    with pytest.raises(patterns.Unknown):
        patterns.matching(pattern, words.stream(1))
