"""The response cache: what it is asked by, how long it keeps, what it tells."""

from __future__ import annotations

import pytest

from bytedeck.simulator.money.cache import Asked, ResponseCache, asked, miss, ttl_of
from sim_calls import NOON, call

ON = Asked(True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("60abc", 60),
        ("1.5", 1),
        ("  7 ", 7),
        ("+8", 8),
        ("0", 1),
        ("-5", 1),
        ("86400", 86400),
        ("86401", 86400),
        ("9" * 5000, 86400),
        ("", 300),
        ("abc", 300),
        ("-", 300),
        ("٣", 300),
    ],
)
def test_a_ttl_is_read_as_parse_int_reads_and_clamped(text: str, seconds: int) -> None:
    assert ttl_of(text) == seconds


@pytest.mark.parametrize(
    ("headers", "zdr", "wish"),
    [
        ({}, False, Asked(False)),
        ({"x-openrouter-cache": "true"}, False, ON),
        ({"x-openrouter-cache": "TRUE", "x-openrouter-cache-ttl": "9"}, False, Asked(True, 9)),
        ({"x-openrouter-cache": "false"}, False, Asked(False)),
        ({"x-openrouter-cache": "1"}, False, Asked(False)),
        ({"x-openrouter-cache": "true", "x-openrouter-cache-clear": "true"}, False, Asked(True, 300, True)),
        ({"x-openrouter-cache-clear": "true"}, False, Asked(False)),
        ({"x-openrouter-cache": "true"}, True, Asked(False)),
    ],
)
def test_the_headers_say_whether_and_how_long(headers: dict[str, str], zdr: bool, wish: Asked) -> None:
    assert asked(headers, zdr=zdr) == wish


def test_a_hit_tells_its_age_what_is_left_and_whose_it_was() -> None:
    cache, value = ResponseCache(), object()
    cache.store("name", ON, value, "gen-1", NOON)
    hit = cache.find("name", ON, NOON + 61.9)
    assert hit is not None
    assert hit.value is value
    assert hit.headers == {
        "X-OpenRouter-Cache-Status": "HIT",
        "X-OpenRouter-Cache-Age": "61",
        "X-OpenRouter-Cache-TTL": "239",
        "X-OpenRouter-Cache-Source-Id": "gen-1",
    }
    assert miss(Asked(True, 60)) == {"X-OpenRouter-Cache-Status": "MISS", "X-OpenRouter-Cache-TTL": "60"}


def test_an_entry_lives_as_long_as_its_writer_said() -> None:
    cache = ResponseCache()
    cache.store("name", Asked(True, 10), "value", "gen-1", NOON)
    assert cache.find("name", Asked(True, 86400), NOON + 9.99) is not None
    assert cache.find("name", Asked(True, 86400), NOON + 10) is None


def test_clear_deletes_the_entry_and_refills_it() -> None:
    cache = ResponseCache()
    cache.store("name", ON, "old", "gen-1", NOON)
    assert cache.find("name", Asked(True, 300, True), NOON + 1) is None
    assert cache.find("name", ON, NOON + 1) is None
    cache.store("name", Asked(True, 300, True), "new", "gen-2", NOON + 1)
    hit = cache.find("name", ON, NOON + 2)
    assert hit is not None
    assert hit.value == "new"


def test_who_does_not_ask_neither_reads_nor_fills() -> None:
    cache = ResponseCache()
    cache.store("name", Asked(False), "value", "gen-1", NOON)
    assert cache.find("name", ON, NOON) is None
    cache.store("name", ON, "value", "gen-1", NOON)
    assert cache.find("name", Asked(False), NOON) is None


def test_entries_lie_apart_by_key_skin_mode_and_each_byte_of_the_body() -> None:
    names = {
        ResponseCache.name("sk-1", call(raw=b'{"a":1,"b":2}')),
        ResponseCache.name("sk-2", call(raw=b'{"a":1,"b":2}')),
        ResponseCache.name("sk-1", call(raw=b'{"b":2,"a":1}')),
        ResponseCache.name("sk-1", call(raw=b'{"a":1,"b":2}', stream=True)),
        ResponseCache.name("sk-1", call(raw=b'{"a":1,"b":2}', skin="messages")),
    }
    assert len(names) == 5
    assert ResponseCache.name("sk-1", call(raw=b"x")) == ResponseCache.name("sk-1", call(raw=b"x"))


def test_the_oldest_entries_go_first() -> None:
    cache = ResponseCache(most=2)
    for name in ("a", "b", "a", "c"):
        cache.store(name, ON, name, "gen", NOON)
    assert [cache.find(name, ON, NOON) is not None for name in "abc"] == [True, False, True]
    cache.clear()
    assert cache.find("a", ON, NOON) is None
