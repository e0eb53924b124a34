"""What a command line means."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bytedeck.cli.main import COMMANDS, cli


@pytest.mark.parametrize(
    ("args", "means"),
    [
        (["why is the sky blue?"], "ask"),
        (["-t", "coding", "hello"], "ask"),
        (["why", "is", "this"], "ask"),
        (["--", "-5 + 3"], "ask"),
        (["sky"], "ask"),
        (["task force"], "ask"),
        (["help me"], "ask"),
        (["help", "me", "now"], "ask"),
        (["--debug", "hello"], "ask"),
        (["ask", "tasks"], "ask"),
        (["tasks"], "tasks"),
        (["--debug", "tasks"], "tasks"),
        (["usage", "--by", "day"], "usage"),
        (["help", "usage"], "usage"),
    ],
)
def test_a_line_means_a_command_or_else_a_question(args: list[str], means: str) -> None:
    """The first word decides, and only a command's exact name is a command."""
    from bytedeck.cli.main import _routed

    assert next(word for word in _routed(args) if word != "--debug") == means


@pytest.mark.parametrize(("word", "meant"), [("task", "tasks"), ("usge", "usage"), ("Model", "models")])
def test_a_mistyped_command_is_not_asked(byte, word: str, meant: str) -> None:
    """A single word that nearly is a command costs nothing, and both ways to go on are told."""
    result = byte(word)
    assert result.exit_code == 2
    assert f"byte {meant}" in result.stderr
    assert f"byte ask {word}" in result.stderr


def test_alone_it_shows_a_short_help(spawn) -> None:
    """`byte` alone, with nothing piped in, shows three examples."""
    process = spawn()
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out.count(b"\n  ") == 3
    assert b"byte --help" in out


@pytest.mark.parametrize("args", [("--help",), ("-h",), ("help",)])
def test_help_names_every_command(byte, args: tuple[str, ...]) -> None:
    """All commands stand in the help."""
    result = byte(*args)
    assert result.exit_code == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_explains_itself(byte, name: str) -> None:
    """Each command has a help, and in it no line is without words."""
    result = byte(name, "--help")
    assert result.exit_code == 0
    command = cli.get_command(None, name)
    subcommands = [command, *getattr(command, "commands", {}).values()]
    assert all(one.help for one in subcommands)
    options = [option for one in subcommands for option in one.params if option.param_type_name == "option"]
    assert all(option.help or option.hidden for option in options)


def test_version(byte) -> None:
    """The version is the distribution's."""
    from importlib.metadata import version

    assert byte("--version").stdout == f"byte {version('bytedeck')}\n"


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["-5 + 3"], "byte -- …"),
        (["tasks", "are", "many"], "byte ask tasks are many"),
        (["usage", "of", "tea"], "byte ask usage of tea"),
    ],
)
def test_a_question_that_hit_a_command_or_an_option(byte, args: list[str], hint: str) -> None:
    """Wrong usage that may have been meant as a question tells how to ask it."""
    result = byte(*args)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_an_unknown_option_is_a_usage_error(byte) -> None:
    """Wrong usage has click's own code."""
    assert byte("--nonsense", "hello").exit_code == 2


def test_help_imports_little() -> None:
    """What makes a start slow is left alone by --help."""
    code = (
        "import sys, json\n"
        "from bytedeck.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {
        "msgspec",
        "asyncio",
        "sqlite3",
        "rich",
        "httpx2",
        "http.client",
        "ssl",
        "bytedeck.client",
    }
    assert not heavy & loaded
