"""What a virtual key may use, and what one can be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bytedeck.callers import Caller, Ring
from bytedeck.claims import Budget, Limit, Rates, Rules
from bytedeck.errors import AuthenticationFailed, InvalidRequest, PermissionRefused
from bytedeck.guard import access, rules
from bytedeck.types import Ask, Candidate, Intent, Model

ALICE = Caller(name="alice")
MINI, FOUR = "openai/gpt-4o-mini", "openai/gpt-4o"
USD = 10**12


def of(*models: str, **fields: Any) -> Caller:
    return replace(ALICE, models=models, **fields)


def candidate(model: str, target: str | None = None) -> Candidate:
    info = Model(id=model, name=model, alias_target=target)
    return Candidate(model=model, name=model, route="openrouter", why="", info=info)


@pytest.mark.parametrize(
    ("patterns", "model", "target", "may"),
    [
        ((), "any/thing", "", True),
        (("*",), "any/thing@preset/x", "", True),
        ((FOUR,), FOUR, "", True),
        ((FOUR,), MINI, "", False),
        ((FOUR,), f"{FOUR}:free", "", True),
        ((FOUR,), f"{FOUR}:online", "", True),
        ((f"{FOUR}:free",), FOUR, "", False),
        ((f"{FOUR}:free",), f"{FOUR}:free", "", True),
        (("*:free",), "meta/llama:free", "", True),
        (("*:free",), "meta/llama", "", False),
        (("openai/*",), FOUR, "", True),
        (("openai/*",), "xopenai/gpt", "", False),
        (("openai/*",), "openai-x/gpt", "", False),
        (("openai/gpt-4o*",), f"{FOUR}@preset/all", "", False),
        ((FOUR,), f"{FOUR}@preset/all", "", False),
        ((f"{FOUR}@preset/all",), f"{FOUR}@preset/all", "", True),
        (("@preset/*",), "@preset/mine", "", True),
        (("openai/*",), "@preset/mine", "", False),
        ((FOUR,), "~openai/gpt-latest", FOUR, True),
        ((MINI,), "~openai/gpt-latest", FOUR, False),
        ((FOUR,), "~openai/gpt-latest", "", False),
        (("openai/*",), "~openai/gpt-latest", "", True),
        (("openai/*",), "~anthropic/claude-latest", "", False),
        (("~openai/gpt-latest",), "~openai/gpt-latest", "openai/gpt-9", True),
        (("~openai/gpt-latest",), "openai/gpt-9", "", False),
        (("gpt",), FOUR, "", False),
        (("openrouter/auto",), "openrouter/auto", "", True),
        ((FOUR,), "openrouter/auto", "", False),
        ((FOUR,), "local/smollm2-135m", "", False),
        (("local/*",), "local/smollm2-135m", "", True),
        (("open.i/*",), FOUR, "", False),
    ],
)
def test_which_models(patterns: tuple[str, ...], model: str, target: str, may: bool) -> None:
    """By the id that goes upstream; a variant shares its model's permission, a preset has none but its own."""
    assert access.may_use(of(*patterns), model, target) is may


@given(st.lists(st.sampled_from("ab/:*~@"), max_size=6), st.lists(st.sampled_from("ab/:~@"), max_size=6))
def test_a_pattern_never_allows_more_than_it_says(pattern: list[str], model: list[str]) -> None:
    """Without a star it is one model with its variants; and without `@` never a preset."""
    said, id_ = "".join(pattern), "".join(model)
    if access.may_use(of(said), id_) and "*" not in said:
        assert said in (id_, id_.partition(":")[0])
    if access.may_use(of(said), id_) and "@" in id_ and said != "*":
        assert "@" in said


def test_a_chain_keeps_what_is_allowed() -> None:
    """In its order, with a note for each that is not; an alias is asked by the name of its target, and only once."""
    notes: list[str] = []
    chain = [candidate("~openai/gpt-latest", FOUR), candidate(MINI), candidate("a/b"), candidate(FOUR)]
    found = access.admitted(of(FOUR, "a/*"), chain, notes)
    assert [one.model for one in found] == [FOUR, "a/b"]
    assert notes == [f"{MINI} is skipped: the key alice may not use it."]
    assert access.admitted(of(), chain, notes) == access.admitted(None, chain, notes) == chain


def test_an_alias_keeps_its_variant() -> None:
    """`~author/x-latest:nitro` is asked as `author/x-9:nitro`."""
    (found,) = access.admitted(of(FOUR), [candidate("~openai/gpt-latest:nitro", FOUR)], [])
    assert found.model == f"{FOUR}:nitro"


@pytest.mark.parametrize(("models", "says"), [((MINI,), MINI), ((MINI, "a/b"), f"any of {MINI}, a/b")])
def test_nobody_left(models: tuple[str, ...], says: str) -> None:
    """The error names key and model, and what the key may use."""
    with pytest.raises(PermissionRefused) as caught:
        access.admitted(of(FOUR), [candidate(model) for model in models], [])
    assert str(caught.value) == f"The key alice may not use {says}."
    assert caught.value.hint == (f"It may use: {FOUR}.",)
    assert (caught.value.http_status, caught.value.exit_code) == (403, 11)


OPEN: dict[str, Any] = {
    "function": {"tools": [{"type": "function", "function": {"name": "model", "parameters": {"model": FOUR}}}]},
    "no kind": {"tools": [{"function": {"name": "f"}}]},
    "search": {"tools": [{"type": "openrouter:web_search"}, {"type": "web_search_20250305"}, {"type": "web_search_preview"}]},
    "plugins": {"plugins": [{"id": "web"}, {"id": "response-healing", "enabled": True}]},
    "switched off": {"plugins": [{"id": "fusion", "enabled": False}]},
    "allowed inside": {"plugins": [{"id": "web", "model": MINI}]},
    "words of the caller's own": {"metadata": {"model": FOUR}, "response_format": {"json_schema": {"model": FOUR}}},
    "no preset": {"preset": None, "tools": None, "plugins": []},
    "no id at all": {"x_model": False, "pin_model": 3},
}  # fmt: skip
CLOSED: dict[str, Any] = {
    "preset": {"preset": "mine"},
    "advisor": {"tools": [{"type": "openrouter:advisor", "model": MINI}]},
    "advisor of another make": {"tools": [{"type": "advisor_20260301", "model": MINI}]},
    "subagent": {"tools": [{"type": "function"}, {"type": "openrouter:subagent"}]},
    "pictures": {"tools": [{"type": "image_generation"}]},
    "unknown tool": {"tools": [{"type": "openrouter:next_year"}]},
    "tool as text": {"tools": ["openrouter:fusion"]},
    "no list": {"tools": {"type": "openrouter:fusion"}},
    "wrong type": {"tools": [{"type": ["function"]}]},
    "fusion": {"plugins": [{"id": "fusion", "analysis_models": [MINI]}]},
    "auto router": {"plugins": [{"id": "auto-router", "allowed_models": [MINI]}]},
    "plugin as text": {"plugins": "fusion"},
    "nameless plugin": {"plugins": [{}]},
    "model in a plugin": {"plugins": [{"id": "web", "deep": [{"search_model": FOUR}]}]},
    "model in a tool": {"tools": [{"type": "web_search", "parameters": {"model": FOUR}}]},
    "models at the top": {"fallbacks": [{"models": [MINI, FOUR]}]},
    "another word": {"judge_model": FOUR},
    "alias inside": {"plugins": [{"id": "web", "model": "~openai/gpt-latest"}]},
}


@pytest.mark.parametrize("params", OPEN.values(), ids=OPEN)
def test_fields_that_reach_no_other_model(params: dict[str, Any]) -> None:
    """They pass for a key that may use one model."""
    access.admit_request(Ask(id="0", messages=(), params=params, caller=of(MINI)))


@pytest.mark.parametrize("params", CLOSED.values(), ids=CLOSED)
def test_fields_that_may_reach_another_model(params: dict[str, Any]) -> None:
    """They are refused to a key that may use some models or tasks only, and pass for every other."""
    for caller in (of(MINI), replace(ALICE, tasks=("coding",))):
        with pytest.raises(PermissionRefused, match="The key alice may"):
            access.admit_request(Ask(id="0", messages=(), params=params, caller=caller))
    for caller in (None, ALICE, of("*")):
        access.admit_request(Ask(id="0", messages=(), params=params, caller=caller))


def test_tasks() -> None:
    """A key with tasks may name those; models by their own name only where it has models, too."""
    coder = replace(ALICE, tasks=("coding",))
    access.admit_task(coder, "coding")
    access.admit(replace(coder, models=(MINI,)), MINI, "coding")
    assert (access.may_task(coder, "general"), access.may_task(None, "x"), access.may_task(ALICE, "x")) == (
        False,
        True,
        True,
    )
    with pytest.raises(PermissionRefused, match=r"The key alice may not use the task general\."):
        access.admit_task(coder, "general")
    with pytest.raises(PermissionRefused, match=rf"may use tasks only, and {MINI} is no task") as caught:
        access.admit(coder, MINI)
    assert caught.value.hint == ("It may use: byte/coding.",)
    with pytest.raises(PermissionRefused):
        access.admit(of(MINI), FOUR)
    access.admit(None, FOUR, "coding")


def test_an_administrator_asks_no_model() -> None:
    """Its key opens other doors."""
    for ask in (
        lambda one: access.admit(one, MINI),
        lambda one: access.admit_request(Ask(id="0", messages=(), caller=one)),
    ):
        with pytest.raises(PermissionRefused, match="for administration"):
            ask(replace(ALICE, role="admin"))


@pytest.mark.parametrize(
    ("fields", "now", "says"),
    [
        ({}, 0, ""),
        ({"expires": 100}, 99, ""),
        ({"expires": 100}, 100, "has expired"),
        ({"revoked": 5}, 5, "was revoked"),
        ({"revoked": 5, "expires": 1}, 5, "was revoked"),
    ],
)
def test_until_when(fields: dict[str, Any], now: int, says: str) -> None:
    """Up to the moment, and no longer."""
    caller = replace(ALICE, **fields)
    if not says:
        access.check(caller, now)
        return
    with pytest.raises(AuthenticationFailed, match=f"The key alice {says}") as caught:
        access.check(caller, now)
    assert caught.value.http_status == 401


def test_a_ring() -> None:
    """A secret that was replaced has a holder until its grace is over; one that nobody has, none."""
    ring = Ring(1, (ALICE,), {"new": "alice", "old": "alice", "lost": "nobody"}, {"old": 50})
    assert [ring.holder(one, 49) for one in ("new", "old", "lost", "x")] == [ALICE, ALICE, None, None]
    assert ring.holder("old", 50) is None


def test_a_digest() -> None:
    """SHA-256 in hex; also of what no client can mean."""
    assert access.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(access.digest("\ud800")) == 64


@pytest.mark.parametrize("name", ["a", "0", "a" * 64, "team-a.b_c9"])
def test_names(name: str) -> None:
    """Small letters, digits, dots, dashes and underscores."""
    assert access.checked(Caller(name=name), 0).name == name


LEAKED = "sk-or-v1-" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        *(({"name": name}, "A key's name is") for name in ("", "a" * 65, "A", "-a", "ä", "a b", "a\n", "sk-x", "…abc")),
        ({"owner": "x" * 201}, "The owner of a key"),
        ({"owner": "a\nb"}, "The owner of a key"),
        ({"tags": ("a",) * 201}, "The tags of a key"),
        ({"tags": (" ",)}, "One of the tags is empty"),
        ({"models": ("",)}, "One of the models is empty"),
        ({"owner": LEAKED}, r"^The owner looks like an API key\.$"),
        *(({what: ("a", LEAKED)}, rf"^One of the {what} looks like an API key\.$") for what in ("tags", "models", "tasks")),
        ({"budgets": (Budget("all", "", "day", USD),)}, "has to be for that key"),
        ({"budgets": (Budget("key", "bob", "day", USD),)}, "has to be for that key"),
        ({"budgets": (Budget("key", "alice", "day", 1), Budget("key", "alice", "day", 2))}, "has two: day"),
        ({"cache": -1}, "0 to 31 days"),
        ({"cache": 31 * 86_400 + 1}, "0 to 31 days"),
        ({"expires": 10}, "in the past"),
        ({"expires": 2**62}, "after the year 9999"),
    ],
)  # fmt: skip
def test_what_is_no_key(fields: dict[str, Any], says: str) -> None:
    """A sentence that says what was expected."""
    with pytest.raises(InvalidRequest, match=says):
        access.checked(replace(ALICE, **fields), 10)


def intent(key: str = "alice") -> Intent:
    return Intent(
        attempt="a-1", request="a", number=1, task="", model="x/y", key=key, streamed=True, worst_units=7
    )


def test_a_key_of_its_own_limits_beside_the_configured_ones() -> None:
    """Both hold; what both say alike is one; another key's touch it not; and what runs here costs nothing."""
    ten, five = Limit(10, 60), Limit(5, 60)
    day, month = Budget("key", "alice", "day", USD), Budget("key", "alice", "month", USD)
    said = Rules(keys=(("alice", Rates(requests=ten)),), budgets=(day, Budget("key", "bob", "day", USD)))
    caller = replace(ALICE, rates=Rates(requests=five, tokens=ten), budgets=(day, month))
    both = rules.beside(said, caller)
    claim = rules.claim(both, intent(), 1)
    assert claim is not None
    assert [(one.measure, one.limit) for one in claim.buckets] == [
        ("requests", ten), ("requests", five), ("tokens", ten),
    ]  # fmt: skip
    assert claim.budgets == (day, month)
    assert rules.beside(said, None) is rules.beside(said, ALICE) is said
    same = rules.beside(said, replace(ALICE, rates=Rates(requests=ten)))
    found = rules.claim(same, intent(), 1)
    assert found is not None
    assert [one.limit for one in found.buckets] == [ten]
    local = rules.claim(both, intent(), 1, is_local=True)
    assert local is not None
    assert local.budgets == ()
    bobs = rules.claim(both, intent("bob"), 1)
    assert bobs is not None
    assert (bobs.buckets, bobs.budgets) == ((), (Budget("key", "bob", "day", USD),))


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([MINI, FOUR, "function", "web", "fusion", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "model", "models", "x_model", "enabled"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["tools", "plugins", "preset", "model", "models", "other"]), _JSON))
def test_whatever_a_client_sends(params: dict[str, Any]) -> None:
    """It passes or is refused, and nothing else happens; what passes names no other model where it could be asked."""
    try:
        access.admit_request(Ask(id="0", messages=(), params=params, caller=of(MINI)))
    except PermissionRefused:
        return
    assert "fusion" not in [
        one.get("id") for one in _dicts(params.get("plugins")) if one.get("enabled") is not False
    ]
    assert FOUR not in [
        one.get("x_model") for one in (*_dicts(params.get("plugins")), *_dicts(params.get("other")))
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
