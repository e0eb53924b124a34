"""`ordered`: a task's order of models goes into the settings file, and every other byte stays as it was."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bytedeck.config import load, order, ordered
from bytedeck.config.order import arranged
from bytedeck.errors import ConfigError

PATH = ("tasks", "coding", "models")
NEW = 'models = ["b", "a"]'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"[tasks.coding]\n{NEW}\n"),
        ("retries = 1\r\n", f"retries = 1\r\n\r\n[tasks.coding]\r\n{NEW}\r\n"),
        ("[tasks.coding] # mine\n  light = 'x'\n", f"[tasks.coding] # mine\n  light = 'x'\n  {NEW}\n"),
        ("[tasks.coding.params]\nx = 1\n", f"[tasks.coding.params]\nx = 1\n\n[tasks.coding]\n{NEW}\n"),
        ("[tasks]\ncoding.light = 'x'\n", f"[tasks]\ncoding.light = 'x'\ncoding.{NEW}\n"),
        ("tasks.coding.light = 'x'\n[a]\n", f"tasks.coding.light = 'x'\ntasks.coding.{NEW}\n[a]\n"),
        ("tasks.other.light = 'x'\n", f"tasks.other.light = 'x'\n\n[tasks.coding]\n{NEW}\n"),
        ("tasks = { coding = { light = 'x' } }\n", f"tasks = {{ coding = {{ light = 'x', {NEW} }} }}\n"),
        ("tasks = {} # t\n", f"tasks = {{ coding.{NEW} }} # t\n"),
        ("[tasks]\ncoding = { models = ['a', 'b'] } # c\n", "[tasks]\ncoding = { models = ['b', 'a'] } # c\n"),
        ("[tasks]\ncoding = { light.x = 1 }\n", f"[tasks]\ncoding = {{ light.x = 1, {NEW} }}\n"),
        ("[tasks.coding]\nmodels = ['c']  # c\n", f"[tasks.coding]\n{NEW}  # c\n"),
        ("[tasks.coding]\nmodels = ['a', 'a']\n", f"[tasks.coding]\n{NEW}\n"),
        ("[tasks.coding]\nmodels=[ 'a',\"b\" , ]\n", "[tasks.coding]\nmodels=[ \"b\",'a' , ]\n"),
        ("[tasks.coding]\nmodels = [\n  'a',\n  'b'\n]\n", "[tasks.coding]\nmodels = [\n  'b',\n  'a'\n]\n"),
        (
            "[tasks.coding]\r\nmodels = [ # best first\r\n  'a', # cheap\r\n  'b' # dear\r\n  # end\r\n]\r\n",
            "[tasks.coding]\r\nmodels = [ # best first\r\n  'b', # dear\r\n  'a' # cheap\r\n  # end\r\n]\r\n",
        ),
        (
            "[tasks.coding]\nmodels = [\n  # cheap\n  'a',\n\n  # dear\n  'b', # d\n]\n",
            "[tasks.coding]\nmodels = [\n\n  # dear\n  'b', # d\n  # cheap\n  'a',\n]\n",
        ),
        ("[tasks.coding]\nmodels = [ # x\n'a', 'b', # y\n]\n", "[tasks.coding]\nmodels = [ # x\n'b', 'a', # y\n]\n"),
    ],
)  # fmt: skip
def test_an_order_goes_where_a_person_would_write_it(before: str, after: str) -> None:
    """However the task is written; a comment beside a model goes with it; writing it again changes nothing."""
    new = arranged(before, PATH, ("b", "a"))
    assert new == after
    assert tomllib.loads(new)["tasks"]["coding"]["models"] == ["b", "a"]
    assert arranged(after, PATH, ("b", "a")) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("[tasks.coding]\nmodels = ['a']\n", ""),
        ("[tasks.coding]\nmodels = ['a']\nlight = 'x'\n", "[tasks.coding]\nlight = 'x'\n"),
        ("[tasks.coding]\n# mine\nmodels = ['a']\n[b]\n", "[tasks.coding]\n# mine\n[b]\n"),
        ("[tasks.coding]\nmodels = ['a']\n[b]\n", "[b]\n"),
        ("[tasks]\ncoding.models = ['a']\nx.light = 'y'\n", "[tasks]\nx.light = 'y'\n"),
        ("tasks = { coding = { models = ['a'], light = 'x' } }\n", "tasks = { coding = { light = 'x' } }\n"),
        ("tasks = { coding.models = ['a'] }\n", "tasks = {}\n"),
    ],
)
def test_an_order_is_taken_out(before: str, after: str) -> None:
    """With its table where nothing else stood in it; what is not there need not be taken out."""
    assert arranged(before, PATH, None) == after


def _put(file: Path, *models: str, task: str = "coding") -> bool:
    with ordered(file, task, models or None) as is_changed:
        pass
    return is_changed


def test_what_is_written_holds(tmp_path: Path) -> None:
    """A file is made for its owner alone; with another mode, a mark and a link it keeps them; twice is once."""
    file = tmp_path / "config.toml"
    assert _put(file, "openai/b", "openai/a")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load({"BYTE_HOME": str(tmp_path)}).tasks["coding"].models == ("openai/b", "openai/a")
    inode = file.stat().st_ino
    assert not _put(file, "openai/b", "openai/a")
    assert file.stat().st_ino == inode
    real = tmp_path / "real.toml"
    real.write_bytes(b"\xef\xbb\xbf[tasks.CODING]\nlight = 'haiku'\n")
    real.chmod(0o644)
    file.unlink()
    file.symlink_to(real)
    assert _put(file, "openai/b")
    assert file.is_symlink()
    assert real.read_bytes() == b"\xef\xbb\xbf[tasks.CODING]\nlight = 'haiku'\nmodels = [\"openai/b\"]\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o644


def test_nothing_is_written_before_the_block_has_ended(tmp_path: Path) -> None:
    """Within it the old file stands; where it raises it stays, and nothing is left beside it."""
    file = tmp_path / "config.toml"
    file.write_text("retries = 1\n")
    found = []

    def broken() -> None:
        with ordered(file, "coding", ("a",)):
            found.append(file.read_text())
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert found == ["retries = 1\n"]
    assert file.read_text() == "retries = 1\n"
    assert os.listdir(tmp_path) == ["config.toml"]


def test_one_after_the_other(tmp_path: Path) -> None:
    """Who comes while another changes the file waits, and finds what that one has written."""
    file = tmp_path / "config.toml"
    other = Thread(target=_put, args=(file, "b"), kwargs={"task": "general"})
    with ordered(file, "coding", ("a",)):
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join()
    assert tomllib.loads(file.read_text())["tasks"] == {
        "coding": {"models": ["a"]},
        "general": {"models": ["b"]},
    }


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"retries = ", "line 1: not valid TOML"),
        (b"tasks = 1", "`tasks`: expected a table"),
        (b"tasks.coding = 1", "`tasks.coding`: expected a table"),
        (b"[tasks.coding]\nmodels = 'a'", "`tasks.coding.models`: expected a list"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left_alone(tmp_path: Path, raw: bytes, says: str) -> None:
    """The error tells the place, the block does not run, and not a byte is changed."""
    file = tmp_path / "config.toml"
    file.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        _put(file, "a")
    assert says in str(caught.value)
    assert file.read_bytes() == raw


def test_a_mistake_of_ours_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were anything else different, or the order not there, the file would stay, and the error say what to write."""
    file = tmp_path / "config.toml"
    file.write_text("retries = 3\n")
    for damaged in ("[tasks", "retries = 4\n[tasks.coding]\nmodels = ['a']", "retries = 3\n"):
        monkeypatch.setattr(order, "arranged", lambda *_, text=damaged: text + "# new\n")
        with pytest.raises(ConfigError, match=r'set models = \["a"\] yourself, in \[tasks.coding\]'):
            _put(file, "a")
        assert file.read_text() == "retries = 3\n"


def test_a_file_that_cannot_be_written_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the block runs: what it writes down elsewhere is then not said in vain."""
    file = tmp_path / "config.toml"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ran: list[Any] = []

    def attempt() -> None:
        with ordered(file, "coding", ("a",)):
            ran.append(1)

    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        attempt()
    assert not ran
    assert os.listdir(tmp_path) == []
