"""An operator's bad day: a ledger that is lost, a configuration that cannot hold, a disk that is full behind the log."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asgi_asks import ask, bearer
from bytedeck import AsyncHub
from bytedeck.callers import Caller
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.watch.logs import Log

CHAT = "/v1/chat/completions"
SAID: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]


async def made(app: App, name: str) -> dict[str, str]:
    """The headers of a new key, which the application knows of."""
    secret = await asyncio.to_thread(app.hub.house.keys.create, Caller(name=name))
    await app.access.refresh()
    return bearer(secret)


# -- a store that is lost ------------------------------------------------------------------------


def _removed(path: Path) -> None:
    for one in path.parent.glob(path.name + "*"):
        one.unlink()


def _emptied(path: Path) -> None:
    _removed(path)
    path.touch()


def _replaced(path: Path) -> None:
    """By a ledger in which there never was a key."""
    _removed(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma application_id = 0")
    path.touch()


def _a_folder(path: Path) -> None:
    _removed(path)
    path.mkdir()


@pytest.mark.parametrize("lose", [_removed, _emptied, _replaced, _a_folder])
async def test_a_ledger_that_is_lost_opens_nothing(lose: Callable[[Path], None], tmp_path: Path) -> None:
    """Where there has been a key, nobody comes in without one any more, whatever has become of the file."""
    found = App(AsyncHub(database_url=f"sqlite://{tmp_path}/ledger.db"), Settings(grace=0.0))
    shown = await made(found, "ada")
    assert (await ask(found, "GET", "/v1/models", shown)).status == 200
    await asyncio.to_thread(lose, tmp_path / "ledger.db")
    for headers in ({}, bearer("sk-byte-" + "A" * 43)):
        await found.access.refresh()
        for method, path in (
            ("GET", "/v1/models"),
            ("GET", "/admin/v1/keys"),
            ("GET", "/metrics"),
            ("POST", CHAT),
        ):
            assert (await ask(found, method, path, headers)).status == 401
    await found.aclose()


ODD_ROWS: dict[str, tuple[str, str]] = {
    "no JSON": ("ada", "{"),
    "another name": ("ada", '{"name": "bob"}'),
    "an unknown role": ("ada", '{"name": "ada", "role": "root"}'),
    "a number for a name": ("ada", '{"name": 7}'),
    "numbers for moments": ("ada", '{"name": "ada", "expires": 1e999}'),
    "a broken budget": ("ada", '{"name": "ada", "budgets": [["key", "ada", "day", -1, true, 80]]}'),
    "an empty row": ("ada", ""),
}


@pytest.mark.parametrize("name", ODD_ROWS)
async def test_a_forged_row_lets_nobody_in(name: str, tmp_path: Path) -> None:
    """A key that cannot be read, or is not what it is called, closes the door; it never opens it."""
    found = App(AsyncHub(database_url=f"sqlite://{tmp_path}/ledger.db"), Settings(grace=0.0))
    shown = bearer(await asyncio.to_thread(found.hub.house.keys.create, Caller(name="ada")))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("update caller set said = ?2 where name = ?1", ODD_ROWS[name])
    for headers in (shown, {}):
        told = await ask(found, "POST", CHAT, headers, {"messages": SAID})
        assert told.status in (401, 402, 503) or (told.status == 400 and headers), told
    await found.aclose()


# -- a configuration that changes while it is read -------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text("retries = 1\n")
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    return config


def write(file: Path, text: str) -> None:
    file.write_text(text)


def mend(file: Path) -> None:
    if file.is_dir():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    file.write_text("retries = 4\n")


async def test_who_comes_while_it_is_read_keeps_its_connections(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that begins on the old connections after the look began is among those that they are kept for."""
    found = App(AsyncHub(), Settings(grace=0.0))
    reread, closed = found.hub.house.reread, []
    found.hub.wire  # noqa: B018 (there are connections now)
    late: Any = object()

    def slow() -> Any:
        found.running.add(late)
        return reread()

    monkeypatch.setattr(found.hub.house, "reread", slow)
    monkeypatch.setattr(found.hub._wire, "aclose", lambda: closed.append(1) or asyncio.sleep(0))
    write(file, '[openrouter]\napp_title = "Another"\n')
    for _ in range(3):
        await found.reloader.look()
    assert not closed
    found.running.discard(late)
    await found.reloader.look()
    assert closed
    await found.aclose()


async def test_looks_one_after_the_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many who ask at once end with what stands there in the end: no look that has read an older file is the last one."""
    found = App(AsyncHub(), Settings(grace=0.0))
    reread, at_once = found.hub.house.reread, [0, 0]

    def counted() -> Any:
        at_once[0] += 1
        at_once[1] = max(at_once)
        config = reread()
        at_once[0] -= 1
        return config

    monkeypatch.setattr(found.hub.house, "reread", counted)

    async def change(number: int) -> None:
        write(file, f"retries = {number % 10}\n")
        await found.reloader.look(is_asked=number % 2 == 0)

    await asyncio.gather(*(change(number) for number in range(1, 30)))
    await found.reloader.look()
    assert found.hub.house.config.retries == 9
    assert at_once[1] == 1
    await found.aclose()


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


BAD_DAYS: dict[str, Callable[[Path], object]] = {
    "a folder": _folder,
    "gone": Path.unlink,
    "a link to itself": _loop,
    "half written": lambda file: file.write_text('[gateway]\norigins = ["https://a'),
    "no text": lambda file: file.write_bytes(bytes(range(256)) * 100),
    "every page of the web": lambda file: file.write_text('[gateway]\norigins = ["*"]\n'),
    "pages from nowhere": lambda file: file.write_text('[gateway]\norigins = ["null"]\n'),
    "nested without end": lambda file: file.write_text("a = " + "[" * 50_000),
    "a key that is none": lambda file: file.write_text("[keys.x]\nrole = 'admin'\n"),
}


@pytest.mark.parametrize("name", BAD_DAYS)
async def test_what_cannot_hold_does_not(file: Path, name: str) -> None:
    """The configuration of before holds, the gateway answers, and says what is wrong until it is mended."""
    found = App(AsyncHub(), Settings(grace=0.0))
    before = found.hub.house.config
    await asyncio.to_thread(BAD_DAYS[name], file)
    for _ in range(3):
        await found.reloader.look()
    assert found.hub.house.config is before
    assert (await ask(found, "GET", "/admin/v1/config")).json["problem"]
    await asyncio.to_thread(mend, file)
    await found.reloader.look()
    assert (found.hub.house.config.retries, found.reloader.problem) == (4, "")
    await found.aclose()


# -- the log -------------------------------------------------------------------------------------


def until(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


async def test_a_full_disk_behind_the_log() -> None:
    """What there is no room for is lost, and counted once there is room; the log goes on."""
    paper, left, came = bytearray(), [5], threading.Semaphore(0)

    def write(data: bytes) -> None:
        left[0] -= 1
        try:
            if left[0] >= 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            paper.extend(data)
        finally:
            came.release()

    log = Log("json", write)
    for number in range(5):
        log.say("info", str(number))
        assert await asyncio.to_thread(came.acquire, timeout=10)
        await asyncio.to_thread(until, lambda at=number: log._lost == (at + 1 if at < 2 else 0))
    log.close()
    told = [json.loads(line)["message"] for line in paper.splitlines()]
    assert "2 lines of this log are lost: nobody took them." in told
    assert [one for one in told if len(one) == 1] == ["2", "3", "4"]


@pytest.mark.parametrize("form", ["json", "text"])
async def test_a_client_writes_no_lines_of_its_own(form: Any) -> None:
    """Neither a line, nor columns, nor anything that a terminal obeys, by a path or a model."""
    paper = bytearray()
    found = App(AsyncHub(), Settings(grace=0.0))
    found.log.close()
    found.log = Log(form, paper.extend)
    odd = "/v1/x 200 answered key=root\n12:00:00 info\x1b[2J\x9b2J\u202e\u2028\r"
    async with found.hub.testing("ok"):
        await ask(found, "GET", odd)
        await ask(found, "POST", CHAT, None, {"model": f"x{odd}", "messages": SAID})
        await found.aclose()
    text = paper.decode()
    assert len(text.splitlines()) == 2
    assert not [sign for sign in "\x1b\x9b\u202e\u2028\r" if sign in text]
    assert form == "json" or " 200 answered key=root" not in text
