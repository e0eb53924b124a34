"""`hub.limits` on both faces: it says what an attempt would be told, and takes nothing by saying so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bytedeck import ByteError, Denied, Granted, Later
from bytedeck.claims import GRANTED, SECOND
from bytedeck.errors import LedgerError
from bytedeck.standing import Standings
from faces import FACES, Face
from upstream import MODEL, Upstream, words

OTHER = "google/gemini-3-pro"
Make = Callable[[str], Face]


@pytest.fixture(params=FACES)
def make(request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Path) -> Iterator[Make]:
    """`make("budget.daily = 5")` → a hub with these settings."""
    faces: list[Face] = []

    def made(settings: str) -> Face:
        file = tmp_path / "settings.toml"
        file.write_text(settings, "utf-8")
        faces.append(Face(request.param, upstream.url, config=file))
        return faces[-1]

    yield made
    for face in faces:
        face.close()


def _done(face: Face, found: Any) -> Any:
    return found if face.loop is None else face.run(found)


def _check(face: Face, *args: Any, **options: Any) -> Any:
    return _done(face, face.hub.limits.check(*args, **options))


def _standing(face: Face) -> Standings:
    return _done(face, face.hub.limits.standing())


def test_without_limits_everything_is_granted(make: Make, tmp_path: Path) -> None:
    """And no ledger is made for saying so."""
    face = make("")
    assert _check(face, MODEL) == GRANTED
    assert _standing(face) == Standings()
    assert not (tmp_path / "home" / "ledger.db").exists()


def test_a_check_takes_nothing(make: Make, upstream: Upstream) -> None:
    """Asked for as often as one likes, nothing is sent, written, or gone from a limit."""
    face = make('limits.per_model = "2/hour"\nbudget.daily = "5"')
    for _ in range(3):
        assert _check(face, MODEL) == GRANTED
    assert upstream.chats == []
    assert face.rows() == []
    assert [one.left for one in _standing(face).limits] == [2]


def test_a_limit_that_is_reached(make: Make, upstream: Upstream) -> None:
    """The model that was asked has to wait, another one not; what is left is told by the models' ids."""
    upstream.script(words())
    face = make('limits.per_model = "2/hour"\nlimits.wait = 0')
    face.chat(model=MODEL)
    assert _check(face, MODEL) == GRANTED
    face.chat(model=MODEL)
    verdict = _check(face, MODEL)
    assert isinstance(verdict, Later)
    assert 1700 * SECOND < verdict.wait <= 1800 * SECOND
    assert MODEL in verdict.why
    assert _check(face, OTHER) == GRANTED
    found = [(one.bucket.of, one.left, one.full_in > 3500) for one in _standing(face).limits]
    assert found == [(MODEL, 0, True), ("*", 2, False)]


def test_full_buckets_are_one_line(make: Make, upstream: Upstream) -> None:
    """What fits a pattern and is full is told with all others; a model that the settings name is told by itself."""
    upstream.script(words())
    face = make(f'''limits.per_model = "1000/second"
limits.models."{OTHER}".requests = "7/minute"
limits.models."openai/*".tokens = "9/second"''')
    face.chat(model="anthropic/claude-sonnet-4.5")
    found = [
        (one.bucket.measure, one.bucket.of, one.left) for one in _standing(face).limits if not one.full_in
    ]
    assert found == [
        ("requests", OTHER, 7),
        ("requests", "*", 1000),
        ("requests", "openai/*", 1000),
        ("tokens", "openai/*", 9),
    ]


REFUSALS = [
    ('limits.requests = "1/hour"', {}, Later, "over_limit"),
    ('limits.tokens = "100/hour"', {"max_tokens": 5000}, Denied, "over_burst"),
    ('budget.daily = "0.00001"', {}, Denied, "over_budget"),
    ('budget.total = "5"', {"plugins": [{"id": "web"}]}, Denied, "over_budget"),
    ('budget.daily = "0.00001 soft"', {}, Granted, None),
    ('limits.tokens = "100000/hour"', {"max_tokens": 5000}, Granted, None),
]


@pytest.mark.parametrize(("settings", "params", "kind", "code"), REFUSALS)
def test_it_says_what_an_attempt_is_told(
    make: Make, upstream: Upstream, settings: str, params: dict[str, Any], kind: type, code: str | None
) -> None:
    """The check and the request agree, also in their words."""
    upstream.script(words())
    face = make(f"limits.wait = 0\n{settings}")
    if code == "over_limit":
        face.chat(model=OTHER)
    verdict = _check(face, MODEL, **params)
    assert isinstance(verdict, kind)
    try:
        face.chat("Hello!", model=MODEL, **params)
    except ByteError as error:
        assert error.code == code
        assert verdict.why in str(error)
    else:
        assert code is None


def test_a_task_has_limits_of_its_own(make: Make, upstream: Upstream) -> None:
    """Who names the task comes under them, by any of its names; who names its model does not."""
    upstream.script(words())
    face = make('[tasks.multi_agent]\nlimits.requests = "1/hour"')
    face.chat(task="multi_agent")
    assert isinstance(_check(face, task="multiAgent"), Later)
    assert _check(face, "opus") == GRANTED
    assert [(one.bucket.scope, one.bucket.of, one.left) for one in _standing(face).limits] == [
        ("task", "multi_agent", 0)
    ]


def test_how_a_budget_stands(make: Make, upstream: Upstream) -> None:
    """Spent is what the answers cost, held the worst case of what runs, the period is the day in UTC."""
    upstream.script(words())
    face = make('budget.daily = "5"\nbudget.total = "9 soft"')
    cost = face.chat(model=MODEL).attempts[0].cost_units
    day, total = _standing(face).budgets
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert (day.spent_units, day.held_units, day.left_units) == (cost, 0, 5 * 10**12 - cost)
    assert day.since in (today, today - timedelta(days=1))  # where midnight came in between
    assert day.until == day.since + timedelta(days=1)
    assert (total.spent_units, total.since, total.until) == (cost, None, None)
    assert str(total) == "$8.999958 is left of the soft budget of $9 in all: $0.000042 spent."


def test_what_runs_is_held(make: Make, upstream: Upstream) -> None:
    """While an answer comes its worst case is held; afterwards nothing is."""
    upstream.script(words())
    face = make('budget.daily = "0.012"\nlimits.wait = 0')
    worst = _done(face, face.hub.explain("hi", model=MODEL)).worst_units
    assert worst < 0.012 * 10**12 < 2 * worst
    seen = []

    def look(delta: object) -> None:
        face.hub.house.store.flush()
        found = face.hub.house.standing().budgets[0]
        seen.append((found.spent_units, found.held_units))
        assert found.left_units == found.budget.units - found.held_units

    face.stream(model=MODEL, each=look)
    assert seen[0][0] == 0
    assert abs(seen[0][1] - worst) <= 10**6  # `true` is a byte shorter than `false`
    assert _standing(face).budgets[0].held_units == 0


def test_a_soft_budget_only_warns(make: Make, upstream: Upstream) -> None:
    """It is granted, with a sentence, from the first question after the share was spent."""
    upstream.script(words())
    face = make('budget.daily = "0.00004 soft"')
    assert _check(face, MODEL) == GRANTED
    face.chat(model=MODEL)
    verdict = _check(face, MODEL)
    assert verdict.warnings == ("$0.000042 of the soft budget of $0.00004 a day is spent.",)
    assert _standing(face).budgets[0].left_units == 0


def test_the_first_attempt_is_explained(make: Make, upstream: Upstream) -> None:
    """`explain` tells the verdict and how what it comes under stands, and no more than that."""
    face = make('budget.daily = "0.001"\n[tasks.coding]\nbudget.daily = "7"\nlimits.requests = "3/hour"')
    found = _done(face, face.hub.explain("hi", model=MODEL))
    assert isinstance(found.verdict, Denied)
    assert [one.budget.scope for one in found.standing.budgets] == ["all"]
    assert found.standing.limits == ()
    found = _done(face, face.hub.explain("hi", task="coding"))
    assert [one.budget.scope for one in found.standing.budgets] == ["all", "task"]
    assert [one.left for one in found.standing.limits] == [3]
    assert upstream.chats == []


def test_what_a_budget_would_shorten(make: Make, upstream: Upstream) -> None:
    """A cap that is not the caller's own is lowered to what is left: `explain` tells to which, near enough, and the
    request goes out with it."""
    upstream.script(words())
    face = make('budget.daily = "0.001"\nlimits.wait = 0')
    found = _done(face, face.hub.explain("hi", model=MODEL))
    assert isinstance(found.verdict, Denied)
    face.chat(model=MODEL)
    sent = upstream.chats[-1].json["max_tokens"]
    assert 0 <= found.capped_at - sent < 10
    assert _done(face, face.hub.explain("hi", model=MODEL, max_tokens=9000)).capped_at is None


def test_a_bound_of_the_request_is_no_error_of_explain(make: Make) -> None:
    """What `max_cost` would refuse is told: the worst case stands there."""
    face = make("")
    found = _done(face, face.hub.explain("hi", model=MODEL, max_cost="0.00000001"))
    assert found.worst_units > 10_000


@pytest.mark.parametrize("settings", ['budget.daily = "5"', 'limits.per_model = "2/hour"'])
def test_a_ledger_that_cannot_be_read(make: Make, tmp_path: Path, settings: str) -> None:
    """A hard budget has to hold, so it is an error; a limit of requests lets through, and says why."""
    face = make(settings)
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "ledger.db").write_bytes(b"no database" * 1000)
    if "budget" in settings:
        with pytest.raises(LedgerError):
            _check(face, MODEL)
    else:
        assert "is damaged" in _check(face, MODEL).warnings[0]
    with pytest.raises(LedgerError):
        _standing(face)


def test_a_script_is_under_no_limit(upstream: Upstream, tmp_path: Path) -> None:
    """What costs nothing and waits for nobody is not kept back in a test, whatever its user has set."""
    from bytedeck import Hub

    file = tmp_path / "settings.toml"
    file.write_text('limits.requests = "1/day"\nbudget.daily = "0.000001"\n', "utf-8")
    with Hub(config=file) as hub, hub.testing("Hello!"):
        assert [hub.chat("hi").text for _ in range(3)] == ["Hello!"] * 3
        assert hub.limits.check(MODEL) == GRANTED
        assert hub.limits.standing() == Standings()
    with Hub(config=file, api_key="sk-or-v1-for-this-test-only", base_url=upstream.url) as hub:
        assert isinstance(hub.limits.check(MODEL), Denied)


def test_what_is_printed_reads_well(make: Make, tmp_path: Path) -> None:
    """A limit that stands is a sentence, as a budget is; `hub.limits` says what it can do."""
    face = make('limits.requests = "1/hour"\nlimits.per_model = "20/minute"')
    assert [str(one) for one in _standing(face).limits] == [
        "1 left of the limit of 1 request an hour.",
        "20 left of the limit of 20 requests a minute to the model *.",
    ]
    assert repr(face.hub.limits).endswith(f"Limits of {tmp_path / 'settings.toml'}: check(…), standing()>")


def test_settings_are_a_file(tmp_path: Path) -> None:
    """Whoever gives them as a table is told so, and not that there is no such file."""
    from bytedeck import Hub

    with pytest.raises(TypeError, match="config is a path in text, or a Path, and not a dict"):
        Hub(config={"budget": {"daily": "5"}})  # type: ignore[arg-type]


def test_each_that_would_be_asked_is_explained(make: Make) -> None:
    """As far as the first one that may go; the last one is shortened, as the request would be."""
    face = make('budget.daily = "0.001"\nlimits.wait = 0')
    chain = ["anthropic/claude-sonnet-4.5", MODEL]
    found = _done(face, face.hub.explain("hi", model=chain))
    assert [one.model for one in found.outlooks] == chain
    assert all(isinstance(one.verdict, Denied) for one in found.outlooks)
    assert found.verdict == found.outlooks[0].verdict
    assert (found.capped_at, found.outlooks[1].capped_at is None) == (None, False)
    found = _done(face, face.hub.explain("hi", model=[*chain, OTHER], max_tokens=100))
    assert [type(one.verdict) for one in found.outlooks] == [Denied, Granted]
