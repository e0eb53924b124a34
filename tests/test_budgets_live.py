"""Budgets in real requests: what is refused, what waits, who is asked instead; and that the money adds up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import Struct

from bytedeck import BudgetExceeded, Policy, StreamBroken, run
from bytedeck.claims import GRANTED, Budget
from bytedeck.cli.main import cli
from bytedeck.errors import InvalidRequest, LedgerError
from bytedeck.io.memory import MemoryStore
from bytedeck.io.writer import Writer
from bytedeck.money import to_text, to_units
from canary import CANARY
from faces import FACES
from limited import Deck, accounts, outcomes
from upstream import MODEL, Answer, End, Hang, Pause, Seen, Upstream, error, usage_of, words

DEAR = "anthropic/claude-sonnet-4.5"
FREE = "meta-llama/llama-3.3-70b-instruct:free"
COST = 42_000_000
"""What an answer of the test upstream costs, units."""
BROKEN = words("one two three four five six", finish=None, usage=None, done=False).then(End())
"""Breaks off, and nobody told what it cost."""


class _Preferences(Struct):
    """JSON can say it, and nothing can be put into it."""

    zdr: bool


@pytest.fixture(params=FACES)
def deck(
    request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deck]:
    made = Deck(request.param, upstream, tmp_path / "home", monkeypatch)
    yield made
    made.close()


def of(units: int, kind: str = "", wait: float = 5) -> str:
    """Settings with one budget in all."""
    return f'[limits]\nwait = {wait}\n[budget]\ntotal = "{to_text(units)}{kind}"\n'


def worst(face: Any, model: str = MODEL, **options: Any) -> int:
    """The worst case of `face.chat`'s own prompt, units."""
    found = face.hub.explain("hi", model=model, **({"max_tokens": 100} | options))
    return int((found if face.loop is None else face.run(found)).worst_units)


@pytest.fixture
def cheap(deck: Deck) -> int:
    """The worst case of a hundred tokens, units."""
    return worst(deck(of(10**12)))


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_what_could_pass_it_is_not_sent(deck: Deck, cheap: int, streamed: bool) -> None:
    """A friendly error that says what it could cost and what is left; no request, no row, no wait."""
    face = deck(of(cheap - 1))
    with pytest.raises(BudgetExceeded) as caught:
        _ = (face.stream if streamed else face.chat)(model=MODEL, max_tokens=100)
    told = caught.value
    assert (told.code, told.exit_code, told.http_status, told.attempts) == ("over_budget", 12, 402, ())
    assert f"At worst this costs ${to_text(cheap)}" in str(told)
    assert "of the hard budget of $" in str(told)
    assert told.hint
    assert (deck.upstream.chats, face.rows(), deck.clock.pauses) == ([], [], [])


def test_what_just_fits_is_sent(deck: Deck, cheap: int) -> None:
    """To the unit; then its cost is spent, nothing is held, and the next one does not fit."""
    face = deck(of(cheap))
    reply = face.chat(model=MODEL, max_tokens=100)
    assert outcomes(reply) == [(MODEL, "answered")]
    face.rows()
    assert accounts(face) == ((COST, 0),)
    with pytest.raises(BudgetExceeded):
        face.chat(model=MODEL, max_tokens=100)
    assert len(deck.upstream.chats) == 1


def test_the_terminal_says_so(deck: Deck, cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 12 and a sentence, no traceback."""
    from click.testing import CliRunner

    deck(of(cheap - 1))
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", deck.upstream.url)
    told = CliRunner().invoke(cli, ["-m", MODEL, "-o", "max_tokens", "100", "hi"], prog_name="byte")
    assert told.exit_code == 12
    assert "One of your budgets kept this back. At worst this costs $" in told.stderr
    assert "Traceback" not in told.stderr
    assert deck.upstream.chats == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_cheaper_model_gets_it(deck: Deck, cheap: int, streamed: bool) -> None:
    """Of a chain those are asked that the budget still pays for, and a note says who was not."""
    face = deck(of(cheap))
    options: dict[str, Any] = {"model": [DEAR, MODEL], "max_tokens": 100}
    reply = face.stream(**options)[1] if streamed else face.chat(**options)
    assert outcomes(reply) == [(MODEL, "answered")]
    (note,) = (one for one in reply.notes if "not asked" in one)
    assert note.startswith("Claude Sonnet 4.5 was not asked: at worst this costs $")


def test_what_costs_nothing_always_goes(deck: Deck) -> None:
    """Also where nothing is left."""
    face = deck(of(1))
    assert outcomes(face.chat(model=[DEAR, FREE])) == [(FREE, "answered")]


def test_the_first_request_of_all_knows_the_prices(deck: Deck) -> None:
    """On a fresh machine the price list is fetched before a budget is asked."""
    assert deck(of(10**12)).chat(model=MODEL, max_tokens=100).whole


def test_without_a_price_it_needs_a_ceiling(deck: Deck) -> None:
    """A price that nobody knows bounds nothing; the caller's own max_price does, and goes along."""
    model = "openrouter/auto"
    face = deck(of(10**12))
    with pytest.raises(BudgetExceeded, match="cannot be bounded") as caught:
        face.chat(model=model, max_tokens=100)
    assert "provider.max_price" in caught.value.hint[0]
    for half in ({"prompt": 1}, {"prompt": 1, "completion": "much"}, {"prompt": 1, "completion": -1}):
        with pytest.raises(BudgetExceeded, match="cannot be bounded"):
            face.chat(model=model, max_tokens=100, provider={"max_price": half})
    ceiling = {"max_price": {"prompt": 1, "completion": "2.5"}}
    assert face.chat(model=model, max_tokens=100, provider=ceiling).whole
    (sent,) = deck.upstream.chats
    assert sent.json["provider"]["max_price"] == {"prompt": 1, "completion": "2.5", "request": 0}
    (row,) = face.rows()
    assert row.worst_units == worst(face, model, provider=ceiling)
    assert row.worst_units >= len(sent.body) * 1_000_000 + 100 * 2_500_000  # a token of the prompt has a byte


@pytest.mark.parametrize(
    "dear",
    [
        {"service_tier": "priority"},
        {"modalities": ["text", "image"]},
        {"plugins": [{"id": "web"}]},
        {"tools": ({"type": "openrouter:web_search"},)},
        {"preset": "mine"},
        {"provider": _Preferences(zdr=True)},
        {"max_tokens": 100.0},
        {"max_completion_tokens": "100"},
        {"n": "3"},
    ],
)
def test_what_has_a_price_of_its_own_is_not_bounded(deck: Deck, dear: dict[str, Any]) -> None:
    """Dearer tiers, pictures and searches cost more than the tokens' prices tell; what cannot be read tells nothing, and
    no price can be put beside it. Without a hard budget all of it is sent."""
    face = deck(of(10**12))
    with pytest.raises(BudgetExceeded, match="cannot be bounded"):
        face.chat(model=MODEL, **{"max_tokens": 100} | dear)
    assert (deck.upstream.chats, accounts(face)) == ([], ((0, 0),))
    face = deck(of(10**12, " soft"))
    assert face.chat(model=MODEL, **{"max_tokens": 100} | dear).whole
    assert [row.worst_units for row in face.rows()] == [None]


@pytest.mark.parametrize("model", ["@preset/mine", f"{MODEL}@preset/mine"])
def test_a_preset_is_not_bounded(deck: Deck, model: str) -> None:
    """It may hold a prompt, tools and plugins of its own, also where its model's price is known."""
    with pytest.raises(BudgetExceeded, match="cannot be bounded"):
        deck(of(10**12)).chat(model=model, max_tokens=100)
    assert deck.upstream.chats == []


@pytest.mark.parametrize("wanted", [3, 3.0, 2.1])
def test_every_answer_is_reserved(deck: Deck, wanted: float) -> None:
    """Of several that are asked for each may have the whole length, however the number is written."""
    face = deck(of(10**12))
    face.chat(model=MODEL, max_tokens=100, n=wanted)
    (row,) = face.rows()
    size = len(deck.upstream.chats[0].body)
    assert row.worst_units >= 3 * (size * 150_000 + 100 * 600_000)


@pytest.mark.parametrize(
    "fields", [{"max_tokens": -1_000_000}, {"max_completion_tokens": -5}, {"max_tokens": 0}]
)
@pytest.mark.parametrize("settings", ["", of(10**9), of(10**9, " soft")])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_length_below_nothing(
    kind: str,
    streamed: bool,
    settings: str,
    fields: dict[str, int],
    deck: Deck,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told as the caller's mistake, and makes no room in any budget: nothing is sent, held or written."""
    face = deck(settings)
    if kind == "memory":
        face.hub.house.store = MemoryStore()
    budget = Budget("all", "", "total", 10**9)
    with pytest.raises(InvalidRequest, match="has to be 1 at least"):
        _ = (face.stream if streamed else face.chat)(model=MODEL, **fields)
    with pytest.raises(InvalidRequest, match="has to be 1 at least"):
        worst(face, **{"max_tokens": None} | fields)
    assert (deck.upstream.chats, face.rows()) == ([], [])
    assert face.hub.house.store.standing((), (budget,)).accounts == ((0, 0),)


def test_the_bound_goes_along(deck: Deck) -> None:
    """The prices and the length that were reckoned with are the most that the upstream may take."""
    face = deck(of(10**12))
    face.chat(model=MODEL)
    sent = deck.upstream.chats[0].json
    assert sent["provider"]["max_price"] == {"prompt": 0.15, "completion": 0.6, "request": 0}
    assert sent["max_tokens"] == 16384
    face.chat(model=MODEL, max_completion_tokens=50, provider=None)
    assert "max_tokens" not in deck.upstream.chats[1].json
    assert deck.upstream.chats[1].json["provider"] == sent["provider"]
    face.chat(
        "long " * 24_000, model=MODEL
    )  # 120,000 of 128,000 tokens at the worst of two bytes each are 60,000
    assert deck.upstream.chats[2].json["max_tokens"] == 16384
    face.chat("long " * 48_000, model=MODEL)
    assert 0 < deck.upstream.chats[3].json["max_tokens"] < 8_100


def test_without_a_budget_nothing_is_added(deck: Deck) -> None:
    """A plain model id gets no parameter of ours."""
    deck(of(10**12, " soft")).chat(model=MODEL)
    assert deck.upstream.chats[0].json.keys() == {"model", "messages", "stream"}


def test_a_budget_of_a_key(deck: Deck, cheap: int) -> None:
    """It holds for that key alone, and counts that key's attempts alone."""
    settings = f'[keys."…{CANARY[-4:]}".budget]\ntotal = "{to_text(cheap + COST)}"\n'
    mine, others = deck(settings), deck(settings, api_key=CANARY[:-4] + "wxyz")
    for _ in range(3):
        others.chat(model=MODEL, max_tokens=100)
    for _ in range(2):
        mine.chat(model=MODEL, max_tokens=100)
    with pytest.raises(BudgetExceeded, match=f"for the key …{CANARY[-4:]}"):
        mine.chat(model=MODEL, max_tokens=100)
    assert others.chat(model=MODEL, max_tokens=100).whole


def test_a_budget_of_a_task(deck: Deck) -> None:
    """It pays for that task's requests alone; without it no bound goes along."""
    face = deck('[tasks.coding.budget]\nmonthly = "0.000001"\n')
    with pytest.raises(BudgetExceeded, match="a month for the task coding"):
        face.chat(task="coding", max_tokens=100)
    assert face.chat(task="general", max_tokens=100).whole
    (sent,) = deck.upstream.chats
    assert "provider" not in sent.json


# -- what is told --------------------------------------------------------------------------------


def test_a_soft_budget_warns(deck: Deck) -> None:
    """It refuses nothing; from the share to warn at on each reply says what is spent."""
    face = deck(of(COST * 2, " soft"))
    told = [face.chat(model=MODEL).notes for _ in range(4)]
    assert told[:2] == [(), ()]
    assert told[2] == ("$0.000084 of the soft budget of $0.000084 in all is spent.",)
    assert told[3] == ("$0.000126 of the soft budget of $0.000084 in all is spent.",)


def test_a_hard_budget_warns_before_it_refuses(deck: Deck, cheap: int) -> None:
    """From 80 % on, where what is asked for still fits."""
    face = deck(of(COST * 5 + cheap))
    told = [face.chat(model=MODEL, max_tokens=100).notes for _ in range(12) if _fits(face, cheap)]
    spent = f"${to_text(COST * (len(told) - 1))} of the hard budget of $"
    assert told[0] == ()
    assert (told[-1] == ()) or told[-1][0].startswith(spent)


def _fits(face: Any, worst: int) -> bool:
    ((spent, _),) = accounts(face)
    (budget,) = face.hub.house.config.rules.budgets
    return bool(spent + worst <= budget.units)


# -- what is held --------------------------------------------------------------------------------


def _at_once(face: Any, job: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=job)
    thread.start()
    return thread


@pytest.mark.parametrize("deck", ["sync"], indirect=True)
def test_it_waits_for_what_others_hold(deck: Deck, cheap: int) -> None:
    """The budget pays for one of them at a time: the second goes as soon as the first has given back what is left."""
    face = deck(of(cheap + COST), is_patient=True)
    waits, replies = threading.Event(), []
    face.hub._sleep = lambda seconds, sleep=face.hub._sleep: (waits.set(), sleep(seconds))
    deck.upstream.script(words("one two").paced(0.01), words())
    with face.hub.stream("hi", model=MODEL, max_tokens=100) as stream:
        next(stream)
        assert accounts(face) == ((0, cheap),)
        other = _at_once(face, lambda: replies.append(face.chat(model=MODEL, max_tokens=100)))
        assert waits.wait(10)
        assert len(deck.upstream.chats) == 1
        stream.result()
    other.join()
    assert outcomes(replies[0]) == [(MODEL, "answered")]
    face.rows()
    assert accounts(face) == ((2 * COST, 0),)


@pytest.mark.parametrize("streamed", [False, True])
def test_it_gives_up_when_it_waited_long_enough(deck: Deck, cheap: int, streamed: bool) -> None:
    """What another process holds does not come back: after `limits.wait` it is refused, and says why."""
    settings = of(cheap + COST, wait=0.3)
    holder, face = deck(settings), deck(settings, is_patient=True)
    _hold(holder, cheap)
    events: list[Any] = []
    options: dict[str, Any] = {"each": lambda delta: events.append(delta.event)} if streamed else {}
    with pytest.raises(BudgetExceeded) as caught:
        _ = (face.stream if streamed else face.chat)(model=MODEL, max_tokens=100, **options)
    assert caught.value.code == "budget_held"
    assert "is held for attempts that run" in str(caught.value)
    assert [event for event in events if event is not None] == []  # no wait is long enough to be told
    assert deck.upstream.chats == []


def _hold(face: Any, worst_units: int) -> None:
    """An attempt that runs and never ends, as another process's would."""
    from marks import begin, intent

    begin(face.hub.house.store, intent(worst_units=worst_units))


def test_nobody_waits_where_nothing_is_held(deck: Deck, cheap: int) -> None:
    """What is spent does not come back in this period: refused at once."""
    face = deck(of(cheap + COST))
    face.chat(model=MODEL, max_tokens=100)
    face.chat(model=MODEL, max_tokens=100)
    with pytest.raises(BudgetExceeded) as caught:
        face.chat(model=MODEL, max_tokens=100)
    assert caught.value.code == "over_budget"
    assert deck.clock.pauses == []


def test_a_rival_is_not_asked_at_every_look(deck: Deck, cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for money to be given back has one race: the rival that failed in it is not asked again and again."""
    monkeypatch.setattr(run, "UNMEASURED", 0.05)
    settings = of(cheap + COST, wait=0.5)
    holder, face = deck(settings), deck(settings, is_patient=True)
    _hold(holder, cheap)
    deck.upstream.script(error(503, message="overloaded"))
    with pytest.raises(Exception, match="temporarily unavailable"):
        face.chat(model=[MODEL, FREE], max_tokens=100, policy=Policy(hedge=True))
    assert len(deck.upstream.chats) <= 4  # one in the race, and in its own turn three


# -- without a ledger ----------------------------------------------------------------------------


def test_a_hard_budget_fails_closed(deck: Deck) -> None:
    """Where the ledger cannot be written nothing is sent: nobody could say what is left."""
    deck.ledger.mkdir()
    face = deck(of(10**12))
    with pytest.raises(LedgerError) as caught:
        face.chat(model=MODEL, max_tokens=100)
    assert "hard budget" in caught.value.hint[0]
    assert deck.upstream.chats == []


def test_a_locked_ledger_fails_closed(deck: Deck) -> None:
    """The same where another program holds the file, and it works again afterwards."""
    import sqlite3

    face = deck(of(10**12))
    face.chat(model=MODEL, max_tokens=100)
    face.rows()
    other = sqlite3.connect(deck.ledger, isolation_level=None)
    other.execute("begin exclusive")
    with pytest.raises(LedgerError, match="locked by another program"):
        face.chat(model=MODEL, max_tokens=100)
    assert len(deck.upstream.chats) == 1
    other.execute("rollback")
    other.close()
    assert face.chat(model=MODEL, max_tokens=100).whole


def test_a_soft_budget_fails_open(deck: Deck) -> None:
    """It only warns, so it holds nobody back."""
    deck.ledger.mkdir()
    (note,) = deck(of(10**12, " soft")).chat(model=MODEL).notes
    assert "not recorded" in note


# -- several attempts ----------------------------------------------------------------------------


def test_each_leg_reserves_its_own(deck: Deck, cheap: int) -> None:
    """While the second one runs, what the first may have cost counts at its worst, and the second's is held."""
    face, seen = deck(of(10**12)), []

    def look(came: Seen) -> Answer:
        seen.append(accounts(face))
        return words("and so on", model=DEAR)

    deck.upstream.script(words(usage=None, finish=None, done=False).cut(0, End()), look)
    reply = face.chat(model=[MODEL, DEAR], max_tokens=100)
    assert [outcome for _, outcome in outcomes(reply)][-1] == "answered"
    first, second = face.rows()[::-1]
    assert seen == [((first.worst_units, second.worst_units),)]
    assert accounts(face) == ((first.worst_units + COST, 0),)


@pytest.mark.parametrize("chain", [[MODEL], [MODEL, DEAR]])
def test_words_that_cannot_be_gone_on_with_are_kept(deck: Deck, cheap: int, chain: list[str]) -> None:
    """The answer breaks off, and to go on could pass the budget: the error is the break's, with its words and why."""
    face = deck(of(cheap + 1))
    deck.upstream.script(BROKEN)
    with pytest.raises(StreamBroken) as caught:
        face.stream(model=chain, max_tokens=100)
    told = caught.value
    assert told.code == "truncated"
    assert told.partial_text == "one two three four five six"
    assert outcomes(told) == [(MODEL, "truncated")]
    assert told.reply is not None
    assert any(" was not asked: at worst this costs $" in note for note in told.reply.notes)
    assert len(deck.upstream.chats) == 1
    face.rows()
    assert accounts(face) == ((cheap, 0),)


def test_both_of_a_race_reserve(deck: Deck, cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second leg that the budget cannot pay beside the first is not sent, and the first answers."""
    monkeypatch.setattr(run, "UNMEASURED", 0.05)
    face = deck(of(cheap + 1))
    deck.upstream.script(words().first(Pause(0.3)))
    reply = face.chat(model=[MODEL, DEAR], max_tokens=100, policy=Policy(hedge=True))
    assert outcomes(reply) == [(MODEL, "answered")]
    face.rows()
    assert accounts(face) == ((COST, 0),)


def test_a_ctrl_c_while_it_is_begun(deck: Deck, cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is written, and the Ctrl-C comes before anybody was told so: it is settled, and nothing stays held."""
    face = deck(of(10**12))
    face.chat(model=MODEL, max_tokens=100)
    face.rows()
    tell, told = Writer._tell, []

    def once(writer: Writer, job: Any, verdict: Any) -> None:
        if told or job.claim is None:
            return tell(writer, job, verdict)
        told.append(verdict)
        raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "_tell", once)
    with pytest.raises(KeyboardInterrupt):
        face.chat(model=MODEL, max_tokens=100)
    assert told == [GRANTED]
    assert [(row.state, row.outcome) for row in face.rows()] == [
        ("settled", "abandoned"),
        ("settled", "answered"),
    ]
    assert accounts(face) == ((COST, 0),)
    assert len(deck.upstream.chats) == 1


def test_who_hangs_up_has_spent_the_worst_case(deck: Deck, cheap: int) -> None:
    """Until the upstream tells what it cost; nothing stays held."""
    face = deck(of(10**12))
    deck.upstream.script(words("one two three", usage=None, finish=None, done=False).then(Hang()))
    face.leave_after(1, model=MODEL, max_tokens=100)
    (row,) = face.rows()
    assert (row.outcome, row.cost) == ("abandoned", None)
    assert accounts(face) == ((cheap, 0),)


def test_more_than_the_worst_case_is_counted_all_the_same(deck: Deck, cheap: int) -> None:
    """An upstream that charges more than it may is not made right by us: the account says what was charged."""
    face = deck(of(10**12))
    deck.upstream.script(words(usage=usage_of("Hello there.", "0.5")))
    face.chat(model=MODEL, max_tokens=100)
    face.rows()
    assert accounts(face) == ((to_units("0.5"), 0),)
