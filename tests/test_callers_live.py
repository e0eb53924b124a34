"""Virtual keys in real requests: whose rows, limits and budgets they are, and which models are ever asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytedeck import BudgetExceeded, Hub, Policy, RateLimited, Reply
from bytedeck.callers import Caller
from bytedeck.claims import Budget, Limit, Rates
from bytedeck.errors import ByteError, PermissionRefused
from bytedeck.types import Ask
from canary import CANARY
from upstream import MODEL, End, Upstream, error, words

DEAR, LATEST = "anthropic/claude-sonnet-4.5", "~anthropic/claude-sonnet-latest"
FREE = "meta-llama/llama-3.3-70b-instruct:free"
COST = 42_000_000
"""What an answer of the test upstream costs, units."""
UPSTREAM = f"…{CANARY[-4:]}"
BROKEN = words("one two three four five six", finish=None, usage=None, done=False).then(End())


@pytest.fixture
def hub(upstream: Upstream) -> Iterator[Hub]:
    with Hub(api_key=CANARY, base_url=upstream.url) as made:
        made.explain("hi", model=MODEL)  # the catalogue is there
        yield made


def budget(units: int, name: str = "alice", hard: bool = True) -> Budget:
    return Budget("key", name, "total", units, hard)


def asked(
    hub: Hub, caller: Caller, *models: str, streamed: bool = False, task: str = "", **params: Any
) -> Ask:
    policy = params.pop("policy", None)
    return hub.house.ask(
        "hi", task=task, model=models or "", system="", timeout=None, max_cost=None, headers=None,
        params={"max_tokens": 100, **params}, streamed=streamed, policy=policy, caller=caller,
    )  # fmt: skip


def chat(hub: Hub, caller: Caller, *models: str, **options: Any) -> Reply:
    """`models`: MODEL where none is told."""
    return answered(hub, asked(hub, caller, *(models or (MODEL,)), **options))


def answered(hub: Hub, ask: Ask) -> Reply:
    drive = hub.answer(ask)
    while drive.advance() is not None:
        pass
    return drive.result


def worst(hub: Hub) -> int:
    """The worst case of one `chat`, units."""
    found = hub.house.explain(asked(hub, Caller(name="alice", budgets=(budget(10**12),)), MODEL)).worst_units
    assert found is not None
    return found


def rows(hub: Hub) -> list[Any]:
    hub.house.store.flush()
    return hub.house.store.rows()


def models(upstream: Upstream) -> list[str]:
    return [one.json["model"] for one in upstream.chats]


def test_whose_row_it_is(hub: Hub, upstream: Upstream) -> None:
    """The ledger labels it with the virtual key's name, and knows which key went upstream; a request without one is as
    it was."""
    chat(hub, Caller(name="alice"))
    hub.chat("hi", model=MODEL)
    assert [(row.key, row.upstream_key) for row in rows(hub)] == [(UPSTREAM, ""), ("alice", UPSTREAM)]
    assert [line.label for line in hub.usage("key").lines] == ["alice", UPSTREAM]
    assert [one.headers["authorization"] for one in upstream.chats] == [f"Bearer {CANARY}"] * 2


def test_what_the_upstream_is_blamed_for(hub: Hub, upstream: Upstream) -> None:
    """A key that OpenRouter refuses is refused for every virtual one: health goes by the upstream key."""
    upstream.script(error(401, message="no such key"))
    for _ in range(5):
        with pytest.raises(ByteError):
            chat(hub, Caller(name="alice"))
    health = hub.house.watch.health()
    assert set(health.keys) == {UPSTREAM}
    before = len(upstream.chats)
    with pytest.raises(ByteError, match="Invalid API key"):
        chat(hub, Caller(name="bob"))
    assert len(upstream.chats) == before
    with Hub(api_key=CANARY, base_url=upstream.url) as other:  # another process learns it from the rows
        other.house.watch.catch_up()
        assert set(other.house.watch.health().keys) == {UPSTREAM}


def test_a_cost_that_comes_later_is_asked_for_with_the_upstream_key(hub: Hub, upstream: Upstream) -> None:
    """The generation belongs to the key that went upstream."""
    upstream.script(BROKEN)
    with pytest.raises(ByteError):
        chat(hub, Caller(name="alice"), policy=Policy(failover="error"))
    hub.house.store.flush()
    found = hub.house.store.awaiting()
    assert found
    assert {one.key for one in found} == {UPSTREAM}


def test_a_key_of_its_own_budget(hub: Hub, upstream: Upstream) -> None:
    """What just fits is sent, and then it is spent; another key's is another one."""
    fits = worst(hub)
    alice = Caller(name="alice", budgets=(budget(fits),))
    bob = Caller(name="bob", budgets=(budget(fits, "bob"),))
    assert chat(hub, alice).text
    assert upstream.chats[0].json["provider"]["max_price"]  # it is held to the price that was reckoned with
    with pytest.raises(
        BudgetExceeded, match=r"of the hard budget of \$\S+ in all for the key alice"
    ) as caught:
        chat(hub, alice)
    assert (caught.value.code, caught.value.http_status) == ("over_budget", 402)
    assert chat(hub, bob).text
    assert chat(hub, Caller(name="carol")).text
    stands = hub.house.store.standing((), (*alice.budgets, *bob.budgets)).accounts
    assert stands == ((COST, 0), (COST, 0))
    assert hub.verify().ok
    assert len(upstream.chats) == 3


def test_a_key_of_its_own_limit(hub: Hub, upstream: Upstream) -> None:
    """Its sentence names the key; other keys go on."""
    hub._sleep = lambda seconds: pytest.fail("nobody waits so long")
    alice = Caller(name="alice", rates=Rates(requests=Limit(1, 3600)))
    chat(hub, alice)
    with pytest.raises(RateLimited, match="of 1 request an hour with the key alice"):
        chat(hub, alice)
    chat(hub, Caller(name="bob", rates=alice.rates))
    assert len(upstream.chats) == 2


def test_a_soft_budget_warns(hub: Hub) -> None:
    """And refuses nothing."""
    alice = Caller(name="alice", budgets=(budget(COST, hard=False),))
    chat(hub, alice)
    (note,) = chat(hub, alice).notes
    assert note.endswith("for the key alice is spent.")


@pytest.mark.parametrize("is_in_file", [True, False])
def test_the_settings_table_of_a_key(upstream: Upstream, tmp_path: Path, is_in_file: bool) -> None:
    """`[keys.alice]` holds beside what the key has of its own, whichever is the tighter one."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'[keys.alice]\nbudget.total = "{"0.000001" if is_in_file else "5"}"\npolicy.hedge = true\n'
    )
    caller = Caller(name="alice", budgets=(budget(10**12 if is_in_file else 10**6),))
    with Hub(api_key=CANARY, base_url=upstream.url, config=config) as hub:
        hub.explain("hi", model=MODEL)
        with pytest.raises(BudgetExceeded, match=r"\$0\.000001 in all for the key alice"):
            chat(hub, caller)
        assert hub.house.plan(asked(hub, caller, MODEL)).policy.hedge is True
        chat(hub, Caller(name="bob"))


def test_a_budget_holds_under_load(hub: Hub, upstream: Upstream) -> None:
    """Thirty-two at once with one key, and as many with another: neither passes its own, and none pays for the other."""
    each = worst(hub)
    callers = [Caller(name=name, budgets=(budget(each * 3, name),)) for name in ("alice", "bob")]
    told: dict[str, list[str]] = {"alice": [], "bob": []}

    def one(caller: Caller) -> None:
        try:
            told[caller.name].append(chat(hub, caller).text and "answered")
        except BudgetExceeded:
            told[caller.name].append("refused")

    threads = [threading.Thread(target=one, args=(callers[number % 2],)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stands = hub.house.store.standing((), [one.budgets[0] for one in callers]).accounts
    for caller, (spent, held) in zip(callers, stands, strict=True):
        answered = told[caller.name].count("answered")
        assert (len(told[caller.name]), spent, held) == (32, answered * COST, 0)
        assert answered >= 1
        assert spent <= caller.budgets[0].units < spent + each
    assert len(upstream.chats) == sum(one.count("answered") for one in told.values())
    assert hub.verify().ok


# -- which models --------------------------------------------------------------------------------


def test_a_forbidden_model_is_never_asked(hub: Hub, upstream: Upstream) -> None:
    """403 with key and model; no request, no row, nothing held."""
    alice = Caller(name="alice", models=(MODEL,), budgets=(budget(10**12),))
    for refused in (DEAR, LATEST, "openrouter/auto", "@preset/x", f"{MODEL}@preset/x", "local/smollm2-135m"):
        with pytest.raises(ByteError) as caught:
            chat(hub, alice, refused)
        assert isinstance(caught.value, PermissionRefused) or refused.startswith("local/")
    with pytest.raises(PermissionRefused, match=rf"^The key alice may not use {DEAR}\.$"):
        chat(hub, alice, DEAR)
    with pytest.raises(PermissionRefused, match="a preset may ask others"):
        chat(hub, alice, preset="x")
    assert (upstream.chats, rows(hub)) == ([], [])


@pytest.mark.parametrize("streamed", [False, True])
def test_a_chain_loses_what_is_forbidden(hub: Hub, upstream: Upstream, streamed: bool) -> None:
    """With a note; fail-over, also in mid-stream, goes to allowed models only."""
    alice = Caller(name="alice", models=(MODEL, FREE))
    upstream.script(BROKEN, words(" seven eight"))
    reply = chat(hub, alice, DEAR, MODEL, FREE, streamed=streamed)
    assert f"{DEAR} is skipped: the key alice may not use it." in reply.notes
    assert set(models(upstream)) <= {MODEL, FREE}
    assert len(models(upstream)) == 2


def test_fall_backs_of_the_settings_are_no_way_round(upstream: Upstream, tmp_path: Path) -> None:
    """They are part of the chain, and go by the same permission."""
    config = tmp_path / "config.toml"
    config.write_text(f'fallback_models = ["{DEAR}"]\nretries = 0\n[aliases]\nmini = "{DEAR}"\n')
    upstream.script(error(503))
    with Hub(api_key=CANARY, base_url=upstream.url, config=config) as hub:
        with pytest.raises(ByteError):
            chat(hub, Caller(name="alice", models=(MODEL,)))
        assert set(models(upstream)) == {MODEL}
        with pytest.raises(PermissionRefused, match=DEAR):  # an alias is what it stands for
            chat(hub, Caller(name="alice", models=(MODEL, "mini")), "mini")
        with pytest.raises(ByteError):
            chat(hub, Caller(name="bob"))
        assert DEAR in models(upstream)


def test_an_alias_of_the_upstream_is_asked_by_its_target(hub: Hub, upstream: Upstream) -> None:
    """So that nobody gets another model by the time that the request arrives."""
    reply = chat(hub, Caller(name="alice", models=(DEAR,)), LATEST)
    assert models(upstream) == [DEAR]
    assert reply.text


def test_tasks_of_a_key(hub: Hub, upstream: Upstream) -> None:
    """It may name those, and no other: not by `auto`, not by naming none, not by a model of its own choice."""
    coder = Caller(name="alice", tasks=("coding",))
    assert chat(hub, coder, "byte/coding").task == "coding"
    before = len(upstream.chats)
    for named, task in (
        (("byte/general",), ""),
        (("byte/auto",), ""),
        (("byte/coding", "byte/general"), ""),
        ((), "general"),
        ((), ""),
        ((MODEL,), ""),
        ((MODEL,), "coding"),
    ):
        with pytest.raises(PermissionRefused, match="The key alice may"):
            answered(hub, asked(hub, coder, *named, task=task))
    assert len(upstream.chats) == before


def test_a_task_whose_models_are_forbidden(hub: Hub, upstream: Upstream) -> None:
    """Those of its models remain that the key may use."""
    reply = chat(hub, Caller(name="alice", models=("anthropic/*",)), "byte/coding")
    assert all(model.partition("/")[0].lstrip("~") == "anthropic" for model in models(upstream))
    assert any("is skipped: the key alice" in note for note in reply.notes)
    with pytest.raises(PermissionRefused, match="may not use any of"):
        chat(hub, Caller(name="alice", models=("nobody/*",)), "byte/coding")


def test_without_a_key_upstream_the_local_model_needs_permission(tmp_path: Path, upstream: Upstream) -> None:
    """It does not stand in for models where the key may not use it."""
    with Hub(base_url=upstream.url) as hub, pytest.raises(ByteError) as caught:
        chat(hub, Caller(name="alice", models=(MODEL,)))
    assert caught.value.code in ("no_way_to_answer", "permission_denied")


def test_explain_tells_a_key_of_its_own(hub: Hub) -> None:
    """Its limits and budgets stand beside the others, and the verdict is theirs."""
    alice = Caller(name="alice", rates=Rates(requests=Limit(5, 60)), budgets=(budget(1),))
    found = hub.house.explain(asked(hub, alice, MODEL))
    assert [(one.budget, one.left_units) for one in found.standing.budgets] == [(alice.budgets[0], 1)]
    assert [(one.bucket.scope, one.bucket.of, one.left) for one in found.standing.limits] == [
        ("key", "alice", 5)
    ]
    assert "for the key alice" in found.verdict.why  # type: ignore[union-attr]


def test_standing_tells_every_key_of_its_own(hub: Hub) -> None:
    """As `byte limits` shows it; a revoked one's, too, for what it has spent."""
    hub.house.keys.create(Caller(name="alice", rates=Rates(requests=Limit(5, 60)), budgets=(budget(10**12),)))
    chat(hub, hub.house.keys.find("alice"))
    hub.house.keys.revoke("alice")
    found = hub.house.standing()
    assert [(one.budget.of, one.spent_units) for one in found.budgets] == [("alice", COST)]
    assert [(one.bucket.of, one.bucket.limit.count) for one in found.limits] == [("alice", 5)]


def test_answers_of_a_script_are_counted_by_nobody(hub: Hub, upstream: Upstream) -> None:
    """Within `testing` no limit holds; permissions do."""
    with hub.testing("hello"):
        assert chat(hub, Caller(name="alice")).text == "hello"
        with pytest.raises(PermissionRefused):
            chat(hub, Caller(name="alice", models=(DEAR,)))
    assert upstream.chats == []
