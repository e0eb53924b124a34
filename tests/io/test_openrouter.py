"""The catalogue: fetched once, kept on disk, never waited for, never the wrong server's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from answers import CATALOGUE, error, whole
from bytedeck import Hub
from bytedeck.config import load
from bytedeck.io.http import HttpWire
from bytedeck.io.openrouter import FRESH_FOR, RETRY_AFTER, Models, endpoint
from canary import CANARY
from upstream import Upstream

KNOWN = "openai/gpt-4o-mini"


@pytest.fixture
def make(upstream: Upstream, tmp_path: Path) -> Callable[..., Models]:
    def build(home: Path = tmp_path / "home", url: str = upstream.url) -> Models:
        env = {"OPENROUTER_API_KEY": CANARY, "OPENROUTER_BASE_URL": url, "BYTE_HOME": str(home)}
        return Models(load(env))

    return build


@pytest.fixture
def wire(upstream: Upstream) -> HttpWire:
    env = {"OPENROUTER_API_KEY": CANARY, "OPENROUTER_BASE_URL": upstream.url}
    return HttpWire(lambda route: endpoint(load(env)))


def test_fetched_then_kept(make: Callable[..., Models], wire: HttpWire) -> None:
    """Prices are exact decimals; a second process reads the copy and asks nobody."""
    first = make()
    assert first.current() is None
    assert first.due()
    fetched = first.fetch(wire)
    assert fetched is not None
    found = fetched.find(KNOWN)
    assert found is not None
    assert found.price is not None
    assert isinstance(found.price.prompt, Decimal)
    second = make()
    kept = second.current()
    assert kept is not None
    assert kept.find(KNOWN) == found
    assert not second.due()
    wire.close()


def test_an_old_copy_is_used_and_renewed(make: Callable[..., Models], wire: HttpWire) -> None:
    """A copy past its time still answers, and is due once, not at every request."""
    make().fetch(wire)
    models = make()
    old = time.time() - FRESH_FOR - 1
    os.utime(models.path, (old, old))
    assert models.current() is not None
    assert [models.due(), models.due()] == [True, False]
    wire.close()


def test_who_names_known_models_renews_it_all_the_same(make: Callable[..., Models], wire: HttpWire) -> None:
    """To have looked for a name is not to have asked for the catalogue."""
    make().fetch(wire)
    models = make()
    old = time.time() - FRESH_FOR - 1
    os.utime(models.path, (old, old))
    assert not models.unsure([KNOWN])
    assert models.due()
    wire.close()


def test_settled(make: Callable[..., Models], wire: HttpWire) -> None:
    """Not before it is known; for a name that is not in it no longer than it is worth nothing to ask; nor once it is old."""
    unknown = "openai/gpt-9"
    models = make()
    assert not models.settled([KNOWN])
    assert models.due()
    assert not models.settled([KNOWN])
    assert models.fetch(wire) is not None
    assert models.settled([KNOWN, unknown, "an alias"])
    assert not models.unsure([unknown])
    models = make()
    aged(models, RETRY_AFTER + 1)
    assert models.settled([KNOWN, "an alias"])
    assert not models.settled([KNOWN, unknown])
    assert models.unsure([unknown])
    assert models.settled([KNOWN, unknown])
    models = make()
    aged(models, FRESH_FOR + 1)
    assert not models.settled([KNOWN])
    wire.close()


def aged(models: Models, seconds: float) -> None:
    """What is known was fetched so long ago."""
    then = time.time() - seconds
    os.utime(models.path, (then, then))
    assert models.current() is not None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"data": []}', b"\xff" * 100, b"<html>"])
def test_a_damaged_copy_is_none(make: Callable[..., Models], damage: bytes) -> None:
    """A damaged copy costs the prices, not the answer."""
    models = make()
    models.path.parent.mkdir(parents=True)
    models.path.write_bytes(damage)
    known = models.current()
    assert known is None or not known.models


@pytest.mark.parametrize("answer", [error(404), whole({"data": []}), whole({"nonsense": 1}), error(500)])
def test_the_accounts_list_or_the_public_one(
    make: Callable[..., Models], wire: HttpWire, upstream: Upstream, answer: object
) -> None:
    """A server without the account's own list answers the public one; nonsense raises nothing."""
    upstream.on("/models/user", answer)  # type: ignore[arg-type]
    fetched = make().fetch(wire)
    assert fetched is None or fetched.find(KNOWN) is not None
    wire.close()


def test_a_home_that_cannot_be_written(make: Callable[..., Models], wire: HttpWire, tmp_path: Path) -> None:
    """Then it is known as long as the process lives."""
    (tmp_path / "file").write_text("")
    models = make(home=tmp_path / "file" / "home")
    assert models.fetch(wire) is not None
    assert models.current() is not None
    wire.close()


def test_one_servers_prices_are_not_anothers(make: Callable[..., Models]) -> None:
    """Each base URL has a copy of its own."""
    assert make().path != make(url="http://127.0.0.1:1/api/v1").path


def test_nobody_waits_for_it(upstream: Upstream) -> None:
    """The first answer comes while the catalogue is on its way; a newer model than the copy is looked up."""
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        assert hub.chat("hi", model=KNOWN).text
    newer = "openai/gpt-9"
    with Hub(api_key=CANARY, base_url=upstream.url) as hub:
        old = time.time() - 1000
        os.utime(hub.house.models.path, (old, old))
        upstream.on(
            "/models/user", whole({"data": [{"id": newer, "name": "GPT 9", "pricing": {}}, *CATALOGUE]})
        )
        assert hub.chat("hi", model=newer).model_name == "GPT 9"


def test_the_endpoint_does_not_tell_its_key() -> None:
    """Its repr holds the address only."""
    where = endpoint(load({"OPENROUTER_API_KEY": CANARY}))
    assert CANARY not in repr(where)
    assert where.headers[0] == ("authorization", f"Bearer {CANARY}")
