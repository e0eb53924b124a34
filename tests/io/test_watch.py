"""How models are doing, by one's own attempts and those of others: shared through the ledger, never in the way."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bytedeck import AsyncHub, AuthenticationFailed, Hub, pipeline
from bytedeck.errors import LedgerError
from bytedeck.health import UNKNOWN
from bytedeck.io.memory import MemoryStore
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import Store
from bytedeck.io.watch import Watch
from bytedeck.types import Ask
from canary import CANARY
from marks import begin, intent, settlement, unknown
from upstream import MODEL, Answer, Seen, Upstream, error, words

OTHER = "google/gemini-3-pro"
MANY = 50


class Clock:
    """Microseconds since 1970, moved by the test."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        self.now += 1
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


Made = Callable[..., Watch]


@pytest.fixture
def watch(path: Path, clock: Clock) -> Iterator[Made]:
    """Makes watches that share a file, as so many processes would."""
    stores: list[Store] = []
    watches: list[Watch] = []

    def make(store: Store | None = None) -> Watch:
        stores.append(store or SqliteStore(str(path), clock))
        watches.append(Watch(stores[-1], clock))
        return watches[-1]

    yield make
    for one in watches:
        one.close()
    for store in stores:
        store.close()


def fail(watch: Watch, request: str, times: int = 3, outcome: str = "unavailable", **fields: Any) -> None:
    """So many attempts that end alike; they are in the ledger when this returns."""
    for number in range(1, times + 1):
        begin(watch, intent(number, request * 32, **fields))  # type: ignore[arg-type]
        watch.settle(unknown(number, request * 32, outcome=outcome))
    watch._store.flush()


def test_ones_own_attempts_are_known_at_once(watch: Made):
    """Before anything is read, and whether or not there is a file; the rows are in the store as well."""
    own = watch()
    assert own.health().models == {}
    fail(own, "1")
    assert own.health().model("m/one").state == "open"
    assert len(own._store.rows()) == 3


def test_the_first_look_reads_what_others_have_written(watch: Made):
    """Only the last minutes: old rows say nothing."""
    fail(watch(), "1")
    other = watch()
    assert other.is_behind()
    assert other.health().model("m/one").state == "open"
    assert not other.is_behind()


def test_later_looks_read_beside_the_requests(watch: Made, clock: Clock):
    """At most once a second, in a thread that ends; a request never waits for it."""
    one, other = watch(), watch()
    one.health()
    other.health()
    fail(other, "1")
    one.health()
    assert one._reader is None
    clock.pass_(1)
    one.health()
    one.close()
    assert one._reader is not None
    assert not one._reader.is_alive()
    assert one.health().model("m/one").state == "open"


def test_an_attempt_counts_once(watch: Made, clock: Clock):
    """One's own come back from the ledger, too; and what began elsewhere may end much later."""
    one, other = watch(), watch()
    fail(one, "1", 2)
    begin(other, intent(1, "2" * 32))  # type: ignore[arg-type]
    for _ in range(3):
        one.read()
    assert one.health().model("m/one").attempts == 2
    other.settle(settlement(1, "2" * 32))
    other._store.flush()
    for _ in range(3):
        one.read()
    clock.pass_(1)
    assert one.health().model("m/one").attempts == 3
    assert one._own == {}


def test_a_probe_elsewhere_is_seen(watch: Made, clock: Clock):
    """Half open, with an attempt of another process on its way: one's own request does not try as well."""
    one, other = watch(), watch()
    fail(one, "1")
    other.read()
    clock.pass_(6)
    assert other.health().model("m/one").state == "half_open"
    assert other.claim_model("m/one", "2" * 32)
    begin(other, intent(1, "2" * 32))  # type: ignore[arg-type]
    one.read()
    assert one.health().model("m/one").probing
    assert not one.claim_model("m/one", "3" * 32)
    other.settle(settlement(1, "2" * 32))
    other._store.flush()
    one.read()
    assert one.health().model("m/one").state == "closed"


def test_lessons_last(watch: Made, clock: Clock):
    """Who starts weeks later knows them; after thirty days they are forgotten."""
    fail(watch(), "1", 1, "prefill_refused")
    clock.pass_(29 * 86_400)
    assert watch().health().learnt == {"m/one": {"no_prefill"}}
    assert watch().health().models == {}
    clock.pass_(86_400)
    assert watch().health().learnt == {}


def test_rows_of_the_future_say_nothing(watch: Made, clock: Clock):
    """Written before the clock was set back."""
    fail(watch(), "1")
    clock.pass_(-3600)
    assert watch().health() == watch(MemoryStore(clock)).health()


def test_a_ledger_that_is_replaced(watch: Made, path: Path, clock: Clock):
    """Another file with fewer rows: it is read from its beginning."""
    own = watch()
    fail(watch(), "1", 3)
    own.read()
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    fail(watch(), "2", 2, model="m/two")
    own.read()
    clock.pass_(1)
    assert own.health().model("m/two").failures == 2


@pytest.mark.parametrize("what", ["garbage", "folder", "another database"])
def test_a_ledger_that_cannot_be_read(watch: Made, path: Path, what: str):
    """No request fails by it; one's own view holds. Who asks on purpose is told."""
    if what == "garbage":
        path.write_bytes(b"no database at all" * 100)
    elif what == "folder":
        path.mkdir()
    else:
        import sqlite3

        connection = sqlite3.connect(path)
        connection.execute("create table theirs (x)")
        connection.close()
    own = watch()
    assert own.health().models == {}
    for number in (1, 2, 3):
        own.begin(intent(number), lambda verdict: None)
        own.settle(unknown(number))
    own._store.flush()
    assert own.health().model("m/one").state == "open"
    with pytest.raises(LedgerError):
        own.read()
    own._store.lost.clear()


def test_a_finalizer_may_settle_while_the_book_is_read(watch: Made):
    """A stream that a garbage collection drops in the middle of a look, on the same thread: nothing waits for itself."""
    own = watch(MemoryStore())
    with own._lock:
        own.begin(intent(1), lambda verdict: None)
        own.settle(settlement(1))
        assert own.health().model("m/one").attempts == 1


def test_after_a_fork(path: Path):
    """The child begins anew, also where another thread of the parent held the lock."""
    script = (
        "import os, sys, threading\n"
        "from bytedeck.io.memory import MemoryStore\nfrom bytedeck.io.watch import Watch\n"
        "watch = Watch(MemoryStore())\nheld, go = threading.Event(), threading.Event()\n"
        "def hold():\n    with watch._lock:\n        held.set()\n        go.wait()\n"
        "threading.Thread(target=hold).start()\nheld.wait()\nchild = os.fork()\n"
        "if child == 0:\n    watch.health()\n    os._exit(7)\n"
        "status = os.waitpid(child, 0)[1]\ngo.set()\nprint(os.waitstatus_to_exitcode(status))\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert (told.stdout, told.stderr) == ("7\n", "")


def test_two_processes_share_it(upstream: Upstream, path: Path):
    """A real process fails three times; this one asks the model last, and says so, without having met a failure."""
    upstream.script(error(503))
    script = (
        "import sys\nfrom bytedeck import Hub\nfrom bytedeck.errors import ByteError\n"
        "with Hub() as hub:\n    for _ in range(3):\n        try:\n            hub.chat('hi', model=sys.argv[1])\n"
        "        except ByteError as error:\n            print(error.code)\n"
    )
    env = {"OPENROUTER_API_KEY": CANARY, "OPENROUTER_BASE_URL": upstream.url}
    (path.parent / "config.toml").write_text("retries = 0\n")
    env |= {"BYTE_DATABASE_URL": f"sqlite://{path}", "BYTE_CONFIG": str(path.parent / "config.toml")}
    child = [sys.executable, "-c", script, MODEL]
    told = subprocess.run(child, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)
    assert told.stdout.split() == ["unavailable"] * 3, told.stderr
    with Hub(api_key=CANARY, base_url=upstream.url, database_url=f"sqlite://{path}") as hub:
        plan = hub.explain("hi", model=[MODEL, OTHER]).plan
        assert [one.model for one in plan.candidates] == [OTHER, MODEL]
        assert any(MODEL in note and "3 times in a row" in note for note in plan.notes)
        upstream.script(words())
        assert hub.chat("hi", model=MODEL).text == "Hello there."
        assert hub.explain("hi", model=[MODEL, OTHER]).plan.candidates[0].model == MODEL


class Probed:
    """An upstream whose first model answers only once all other requests have been answered by the second."""

    def __init__(self, upstream: Upstream) -> None:
        self.asked = {MODEL: 0, OTHER: 0}
        self._lock = threading.Lock()
        self._others_are_done = threading.Event()
        upstream.script(self)

    def __call__(self, seen: Seen) -> Answer:
        model = seen.json["model"]
        with self._lock:
            self.asked[model] += 1
            if self.asked[OTHER] == MANY - 1:
                self._others_are_done.set()
        if model == MODEL:
            self._others_are_done.wait(20)
        return words(model=model)


def half_opened(hub: Hub | AsyncHub, upstream: Upstream, clock: Clock) -> Probed:
    """The hub's first model has failed, and may be tried again."""
    hub.house.watch = Watch(hub.house.store, clock)
    for number in (1, 2, 3):
        hub.house.watch.begin(intent(number, model=MODEL, key=""), lambda verdict: None)
        hub.house.watch.settle(unknown(number, outcome="unavailable"))
    clock.pass_(6)
    assert hub.house.watch.health().model(MODEL).state == "half_open"
    return Probed(upstream)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty")
def test_one_probe_among_fifty_threads(upstream: Upstream, clock: Clock):
    """The others are answered by the next model, and told why."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        probed = half_opened(hub, upstream, clock)
        together = threading.Barrier(MANY)
        notes: list[str] = []

        def ask() -> None:
            together.wait()
            notes.extend(hub.chat("hi", model=[MODEL, OTHER]).notes)

        threads = [threading.Thread(target=ask) for _ in range(MANY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert probed.asked == {MODEL: 1, OTHER: MANY - 1}
        assert len([note for note in notes if "another request is trying it" in note]) == MANY - 1
        assert hub.house.watch.health().model(MODEL).state == "closed"


async def test_one_probe_among_fifty_tasks(upstream: Upstream, clock: Clock):
    """The same on one loop."""
    async with AsyncHub(api_key=CANARY, base_url=upstream.url) as hub:
        probed = half_opened(hub, upstream, clock)
        replies = await asyncio.gather(*(hub.chat("hi", model=[MODEL, OTHER]) for _ in range(MANY)))
        assert probed.asked == {MODEL: 1, OTHER: MANY - 1}
        assert sorted(reply.model == MODEL for reply in replies) == [False] * (MANY - 1) + [True]
        assert hub.house.watch.health().model(MODEL).state == "closed"


def test_two_decks_before_either_is_sent(upstream: Upstream, clock: Clock):
    """Who comes first has the claim until it begins, or does not for five seconds."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        half_opened(hub, upstream, clock)
        house = hub.house

        def first_of(request: str) -> str:
            ask = Ask(id=request, messages=({"role": "user", "content": "hi"},), models=(MODEL, OTHER))
            return pipeline.plan(ask, house.deck(ask)).candidates[0].model

        assert [first_of(request) for request in ("one", "two", "three")] == [MODEL, OTHER, OTHER]
        clock.pass_(5)
        assert [first_of(request) for request in ("two", "one")] == [MODEL, OTHER]


def test_two_requests_that_saw_the_same(upstream: Upstream, clock: Clock):
    """Both saw a half-open model, and a half-open key: one may try, the other goes on, or fails at once; whatever
    virtual keys they come with."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        half_opened(hub, upstream, clock)
        for number in (4, 5, 6):
            hub.house.watch.begin(intent(number, model=MODEL, key="k"), lambda verdict: None)
            hub.house.watch.settle(unknown(number, outcome="authentication"))
        clock.pass_(6)
        asks = [
            Ask(
                id=name,
                messages=({"role": "user", "content": "hi"},),
                models=(MODEL, OTHER),
                key=f"{name}s" if key else "",
                upstream_key=key,
            )
            for name, key in (("one", ""), ("two", ""), ("three", "k"), ("four", "k"))
        ]
        decks = [hub.house.known(ask) for ask in asks]
        tried = [hub.house._trying(ask, deck) for ask, deck in zip(asks, decks, strict=True)]
        plans = [pipeline.plan(ask, deck) for ask, deck in zip(asks[:3], tried, strict=False)]
        assert [plan.candidates[0].model for plan in plans] == [MODEL, OTHER, OTHER]
        with pytest.raises(AuthenticationFailed):
            pipeline.plan(asks[3], tried[3])


def test_who_only_explains_tries_nothing(upstream: Upstream, clock: Clock):
    """It takes the place of no request that would."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        half_opened(hub, upstream, clock)
        for _ in range(3):
            assert hub.explain("hi", model=[MODEL, OTHER]).plan.candidates[0].model == MODEL


def test_a_refused_key_is_not_sent_again_and_again(upstream: Upstream, clock: Clock):
    """After three refusals the same error comes at once, until it is time to try; one try that works ends it."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        hub.house.watch = Watch(hub.house.store, clock)
        upstream.script(error(401, message="No auth credentials found"))
        for _ in range(3):
            with pytest.raises(AuthenticationFailed):
                hub.chat("hi", model=MODEL)
        asked = len(upstream.chats)
        with pytest.raises(AuthenticationFailed, match="Invalid API key") as caught:
            hub.chat("hi", model=OTHER)
        assert len(upstream.chats) == asked == 3
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 5
        assert "Nothing was sent" in caught.value.detail
        assert hub.house.watch.health().model(MODEL) == UNKNOWN
        clock.pass_(6)
        upstream.script(words())
        assert hub.chat("hi", model=MODEL).text == "Hello there."
        assert hub.house.watch.health().key(hub.house.key_label).state == "closed"


def test_a_script_says_nothing_of_the_models(upstream: Upstream):
    """Neither does it feed what is known, nor does what is known change what it plays."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        with hub.testing("unavailable", "unavailable", "unavailable", "unavailable", "ok"):
            for _ in range(2):
                hub.chat("hi", model=[MODEL, OTHER])
        assert hub.house.watch.health().models == {}
