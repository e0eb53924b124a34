"""The docs are true: what is made from the code is fresh, everything has its place, every example runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import bytedeck
from bytedeck import shared
from bytedeck.cli.main import cli
from bytedeck.config import SETTINGS, load, shipped_models, shipped_tasks
from bytedeck.errors import TABLE
from bytedeck.types import Delta, Reply, Timeouts, Usage
from canary import CANARY
from docs_blocks import DOCS, PAGES, ROOT, Block, blocks, files, play
from upstream import Upstream

MOST_NOT_RUN = 5
PYTHON, SHELL = blocks("python"), blocks("sh")


def _make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", DOCS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()


def _page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.fixture
def played(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Upstream]:
    """An upstream, a key, a folder with what the examples read, and a shared hub of the test's own."""
    play(upstream)
    files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", upstream.url)
    monkeypatch.setattr(shared, "_default", None)
    yield upstream
    if shared._default is not None:
        shared._default.close()


# What is made from the code


def test_nothing_is_stale() -> None:
    """What is made from the code is as the code is: else run scripts/docs."""
    assert not [page.name for page in make.stale()]


def test_every_part_is_used() -> None:
    """No part is made for nothing."""
    used = re.findall(r"<!-- made: (\w+) -->", "".join(page.read_text("utf-8") for page in PAGES))
    assert sorted(used) == sorted(make.PARTS)


def test_stale_parts_are_found(tmp_path: Path) -> None:
    """A page whose made part is out of date is named, and becomes fresh."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- made: alias_table -->\nold\n<!-- end -->\nb\n", "utf-8")
    fresh = make.stale(tmp_path)[page]
    assert "| `opus` |" in fresh
    assert "old" not in fresh
    page.write_text(fresh, "utf-8")
    assert make.stale(tmp_path) == {}


# Everything has its place


def _options() -> list[tuple[str, str]]:
    return [
        (context.command_path, option)
        for _, context in make.commands()
        for param in context.command.get_params(context)
        if isinstance(param, click.Option) and not param.hidden
        for option in param.opts
    ]


PLACES = [
    *(("configuration.md", name) for row in SETTINGS for name in (row.name, *row.env) if name),
    *(("cli.md", f"### {path}\n") for path, _ in make.commands()),
    *(("cli.md", option) for _, option in _options()),
    *(
        ("errors.md", f"| `{name}` | `{row.error.__name__}` | {row.sentence} |")
        for name, row in TABLE.items()
    ),
    *(("errors.md", f"─ {row.error.__name__}") for row in TABLE.values()),
    *(("cli.md", f"| {row.exit_code} |") for row in TABLE.values()),
    *(("tasks.md", f"| `{name}`") for name in shipped_tasks().tasks),
    *(("tasks.md", f"`models.{name}`") for name in shipped_models().constants),
    *(("tasks.md", f"| `{name}` |") for name in shipped_models().aliases),
    *(("tasks.md", f"| `{dead}` |") for dead in shipped_models().successors),
    *(("library.md", f"`{name}`") for name in bytedeck.__all__),
    *(("library.md", f"`{name}`") for kind in (Reply, Delta, Usage) for name in kind.__struct_fields__),
    *(("library.md", f"{name}=") for name in Timeouts.__struct_fields__),
]


@pytest.mark.parametrize(("page", "name"), dict.fromkeys(PLACES))
def test_it_stands_in_the_docs(page: str, name: str) -> None:
    """Every setting, command, option, error, task, constant, public name and field has its place."""
    assert name in _page(page)


# Links


def _links() -> list[tuple[str, str]]:
    pages = [*PAGES, ROOT / "CONTRIBUTING.md", *sorted((DOCS / "decisions").glob("*.md"))]
    return [
        (str(page.relative_to(ROOT)), link)
        for page in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
        if not link.startswith("http")
    ]


def _anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize(("page", "link"), _links())
def test_links_lead_somewhere(page: str, link: str) -> None:
    """Every link between files leads to a file, and to a heading in it where it names one."""
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists()
    assert not anchor or anchor in _anchors(target)


# Examples


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.where)
def test_python_examples_run(block: Block, played: Upstream) -> None:
    """Every Python example runs; what it defines as a test passes."""
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(block.text, block.where, "exec"), names)
    for name, value in names.items():
        if name.startswith("test_") and callable(value):
            value()


# What a person types where a command asks for it.
_TYPED = {"byte keys set": CANARY}
_OF_THE_SHELL = frozenset("|<>$&;")


def _lines(block: Block) -> list[str]:
    return [
        line.partition("  #")[0].strip() for line in block.text.splitlines() if re.search(r"\bbyte\b", line)
    ]


@pytest.mark.parametrize("block", [one for one in SHELL if one.is_run], ids=lambda block: block.where)
def test_shell_examples_run(block: Block, played: Upstream) -> None:
    """Every line with `byte` in it ends well."""
    for line in _lines(block):
        words = shlex.split(line)
        if _OF_THE_SHELL.isdisjoint("".join(re.split(r"'[^']*'|\"[^\"]*\"", line))):
            assert words[0] == "byte"
            result = CliRunner().invoke(cli, words[1:], prog_name="byte", input=_TYPED.get(line))
            assert result.exit_code == 0, (line, result.output)
        else:
            _in_a_shell(line)


def _in_a_shell(line: str) -> None:
    """With `byte` as a function, so that it need not be installed in the PATH; a pipe ends as its last part does."""
    byte = (
        f"byte() {{ {shlex.quote(sys.executable)} -c 'from bytedeck.cli.main import main; main()' \"$@\"; }}"
    )
    told = subprocess.run(["sh", "-c", f"{byte}\n{line}"], capture_output=True, env=os.environ, timeout=60)
    assert told.returncode == 0, (line, told.stdout, told.stderr)


def test_few_examples_are_not_run() -> None:
    """Only what fetches or needs the real model may be left out; no Python at all."""
    assert len([block for block in SHELL if not block.is_run]) <= MOST_NOT_RUN
    assert all(block.is_run for block in PYTHON)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.where)
def test_settings_in_the_docs_are_understood(block: Block, tmp_path: Path) -> None:
    """Every example of a settings file is one."""
    file = tmp_path / "config.toml"
    file.write_text(block.text, "utf-8")
    assert load({"BYTE_CONFIG": str(file), "BYTE_HOME": str(tmp_path)}).file == file


def test_pictures_tell_nothing_of_their_machine() -> None:
    """No path, and nothing that is loaded from elsewhere."""
    pictures = list((DOCS / "pictures").glob("*.svg"))
    assert pictures
    for picture in pictures:
        drawn = picture.read_text("utf-8")
        assert not [path for path in (ROOT, Path.home(), tempfile.gettempdir()) if str(path) in drawn]
        assert not re.search(r"@import|url\([^#]|href", drawn)


def test_there_are_examples() -> None:
    """The search for examples finds them."""
    assert len(PYTHON) > 10
    assert sum(len(_lines(block)) for block in SHELL) > 30
