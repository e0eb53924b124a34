"""The scripts on a machine of any kind, without a network, and the pinned requirements that they install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_SCRIPTS = [*sorted((_ROOT / "scripts").iterdir()), _ROOT / ".ci" / "run"]
_PINS = sorted((_ROOT / "requirements").glob("*.txt"))
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_TOOLS = ("bash", "cat", "cmp", "cp", "dirname", "env", "flock", "mkdir", "rm", "touch")

# Stands in for uv: makes a real environment, writes down what it is asked, and fails while there is no network.
_UV = """#!/usr/bin/env bash
echo "$*" >> {log}
case $1 in
  venv) exec {python} -m venv --without-pip "${{@: -1}}" ;;
  pip) [ ! -e {offline} ] ;;
esac
"""


class Machine:
    """A copy of the checkout's set-up, and a PATH on which only the named tools are."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "a check out"
        self.bin = folder / "bin"
        self.log = folder / "asked"
        self.offline = folder / "offline"
        self.bin.mkdir()
        for name in ("scripts", "requirements"):
            shutil.copytree(_ROOT / name, self.checkout / name)
        shutil.copy(_ROOT / "pyproject.toml", self.checkout)
        for tool in _TOOLS:
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)

    def add(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    def add_uv(self) -> None:
        self.add("uv", _UV.format(log=self.log, offline=self.offline, python=sys.executable))
        self.add("python3", f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n')

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.checkout / "scripts" / script), *args]
        clean = {"PATH": str(self.bin), "HOME": str(self.checkout), "PYTHONPATH": str(_ROOT / "src"), **env}
        return subprocess.run(
            command, env=clean, cwd="/", capture_output=True, text=True, timeout=60, check=False
        )

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_failure(script: Path) -> None:
    """Each can be run, from any folder, tells what it is for, and stops where something fails."""
    first, second, *rest = script.read_text().splitlines()
    assert os.access(script, os.X_OK)
    assert first in ("#!/usr/bin/env bash", "#!/bin/sh")
    assert second.startswith("# ")
    assert any(line.startswith("set -eu") for line in rest)
    assert subprocess.run([first.split("/")[-1].split()[-1], "-n", str(script)], check=False).returncode == 0


def test_python_too_old(machine: Machine) -> None:
    """An old Python is named, with what to do; nothing is made."""
    machine.add("python3", '#!/usr/bin/env bash\n[ "$1" = --version ] && echo "Python 3.9.2" || exit 1\n')
    done = machine.run("setup")
    assert done.returncode == 1
    assert "3.11 or newer; this machine has Python 3.9.2" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_debian_without_venv(machine: Machine) -> None:
    """Where Debian lacks python3-venv, the command that mends it is told."""
    machine.add(
        "python3",
        f'#!/usr/bin/env bash\n[[ "$2" == *ensurepip* ]] && exit 1\nexec {sys.executable} "$@"\n',
    )
    done = machine.run("setup")
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_the_second_time_nothing_is_done(machine: Machine) -> None:
    """Set-up asks the installer once for each file, by hash, and then no more until one changes."""
    machine.add_uv()
    assert machine.run("setup", "cli").returncode == 0
    asked = machine.asked()
    installs = [line for line in asked if line.startswith("pip")]
    assert [line.rpartition(" ")[2] for line in installs] == [
        *(f"requirements/{name}.txt" for name in ("build", "core", "cli")),
        ".",
    ]
    assert all("--require-hashes --only-binary :all:" in line for line in installs[:-1])
    assert "--no-deps --no-build-isolation" in installs[-1]
    assert machine.run("setup", "cli").returncode == 0
    assert machine.asked() == asked
    (machine.checkout / "requirements" / "cli.txt").write_text("# changed\n")
    assert machine.run("setup", "cli").returncode == 0
    assert [line.rpartition(" ")[2] for line in machine.asked()[len(asked) :]] == ["requirements/cli.txt"]


def test_a_broken_network_leaves_nothing_to_believe(machine: Machine) -> None:
    """What failed half-way is made anew the next time."""
    machine.add_uv()
    machine.offline.touch()
    assert machine.run("setup").returncode != 0
    stale = machine.checkout / ".venv" / "half-made"
    stale.touch()
    machine.offline.unlink()
    assert machine.run("setup").returncode == 0
    assert not stale.exists()
    assert (machine.checkout / ".venv" / ".has-project").exists()


def test_a_moved_checkout_gets_a_new_environment(machine: Machine) -> None:
    """An environment knows its own path, so a copy of it is not believed."""
    machine.add_uv()
    assert machine.run("setup").returncode == 0
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("moved"))
    (machine.checkout / ".venv" / "old").touch()
    assert machine.run("setup").returncode == 0
    assert not (machine.checkout / ".venv" / "old").exists()


def test_an_unknown_extra(machine: Machine) -> None:
    """A wrong name is told with the right ones."""
    machine.add_uv()
    done = machine.run("setup", "nonsense")
    assert done.returncode == 1
    assert "no extra named nonsense" in done.stderr
    assert "requirements/local.txt" in done.stderr


@pytest.mark.parametrize("key", ["", "sk-or-something"])
def test_the_demo_fetches_only_where_there_is_no_key(machine: Machine, tmp_path: Path, key: str) -> None:
    """Without a key the local model is installed, unasked; stdout holds the answer alone, whatever set-up says."""
    machine.add_uv()
    assert machine.run("setup", "cli", "local").returncode == 0
    byte = machine.checkout / ".venv" / "bin" / "byte"
    byte.write_text(f'#!/usr/bin/env bash\necho "byte $*" >> {machine.log}\necho "[$1]"\n')
    byte.chmod(0o755)
    # The stand-in installed no packages: lend it this test's own.
    lent = os.pathsep.join(
        [str(_ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
    )
    env = {
        "PYTHONPATH": lent,
        "BYTE_HOME": str(tmp_path / "home"),
        **({"OPENROUTER_API_KEY": key} if key else {}),
    }
    done = machine.run("demo", "Why?", **env)
    assert done.returncode == 0
    assert done.stdout == "[ask]\n"
    asked = [line for line in machine.asked() if line.startswith("byte")]
    assert asked == (["byte ask Why?"] if key else ["byte local install --yes", "byte ask Why?"])


@pytest.mark.parametrize("path", _PINS, ids=lambda path: path.stem)
def test_every_requirement_is_pinned_by_hash(path: Path) -> None:
    """One version and at least one hash each, and neither hosts nor paths."""
    text = path.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", line), line
    assert not re.search(r"https?:|^-|^/|file:", text, re.MULTILINE)


def test_the_files_agree_with_each_other() -> None:
    """A package has the same version wherever it is pinned for the same Pythons."""
    versions: dict[tuple[str, str], set[str]] = {}
    for path in _PINS:
        pins = re.findall(r"^([a-z0-9._-]+)==([^ ]+)(?: ; ([^\\\n]*))?", path.read_text(), re.MULTILINE)
        for name, version, pythons in pins:
            versions.setdefault((name, pythons.strip()), set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("extra", ["core", "build", *_PROJECT["project"]["optional-dependencies"]])
def test_what_the_project_needs_is_pinned(extra: str) -> None:
    """Each dependency in pyproject.toml stands in its file: a new one is not forgotten."""
    groups = {
        "core": _PROJECT["project"]["dependencies"],
        "build": _PROJECT["build-system"]["requires"],
        **_PROJECT["project"]["optional-dependencies"],
    }
    pinned = set(
        re.findall(r"^([a-z0-9._-]+)==", (_ROOT / "requirements" / f"{extra}.txt").read_text(), re.MULTILINE)
    )
    assert {_name(requirement) for requirement in groups[extra]} <= pinned
