"""Writes anew what in docs/ is made from the code: what stands between `<!-- made: name -->` and `<!-- end -->`.

python docs/make.py writes; with --check it writes nothing and fails where something is stale.
"""

from __future__ import annotations

import re
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import click

from bytedeck import Hub, errors
from bytedeck.cli import codes
from bytedeck.cli.main import cli
from bytedeck.config import SETTINGS, load, shipped_models
from bytedeck.simulator.faults import table as faults
from bytedeck.simulator.faults.fault import Fault
from bytedeck.simulator.money import accounts

DOCS = Path(__file__).parent
_PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH = 88


def fresh(text: str) -> str:
    """A page with all its made parts as they should be. Raises KeyError for a part that nobody makes."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]().strip()}\n\n{part[3]}", text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(words: Sequence[str]) -> str:
    """Each word as code, in a row."""
    return ", ".join(f"`{word}`" for word in words)


def error_tree() -> str:
    drawn = (errors.__doc__ or "").split("\n\n")[1]
    return f"```text\n{drawn}\n```"


def error_table() -> str:
    rows = [
        (f"`{name}`", f"`{row.error.__name__}`", row.sentence, _again(row), row.then, str(row.exit_code))
        for name, row in errors.TABLE.items()
    ]
    return table(("code", "class", "sentence", "again", "then", "exit"), rows)


def _again(row: errors.Row) -> str:
    return f"{row.retries}, once changed" if row.amend else str(row.retries)


def scripted_codes() -> str:
    """The codes that `hub.testing` plays so that they come out as themselves: found by playing them all."""
    with tempfile.TemporaryDirectory() as home, Hub(home=home) as hub:
        return code([name for name in errors.TABLE if _played(hub, name) == name])


def _played(hub: Hub, name: str) -> str:
    # Some failures come only after words: for them the script has words first.
    item = (name, "Hel") if name in _AFTER_WORDS else name
    try:
        with hub.testing(item):
            hub.chat("hi", model="openai/gpt-4o")
    except errors.ByteError as error:
        return error.code
    except ValueError:  # what no model's server can say
        return ""
    return ""


_AFTER_WORDS = ("idle_timeout",)


def exit_table() -> str:
    by_exit = sorted(errors.TABLE.items(), key=lambda item: item[1].exit_code)
    rows = {0: "a whole answer, or the command did what it should", **_OTHER_EXITS}
    for number, group in groupby(by_exit, key=lambda item: item[1].exit_code):
        codes = code([name for name, _ in group])
        rows[number] = f"{rows[number]}; {codes}" if number in rows else codes
    return table(("exit code", "when"), [(str(number), rows[number]) for number in sorted(rows)])


_OTHER_EXITS = {
    codes.EXIT_BUG: "a bug of ours; or a “no” to a question of `byte local install`",
    2: "wrong usage of the command line",
    errors.EXIT_LENGTH: "the answer was cut at its token limit; all of it that came was printed",
    codes.EXIT_OUTPUT: "the answer could not be written where stdout goes",
    codes.EXIT_INTERRUPTED: "Ctrl-C",
    codes.EXIT_TERMINATED: "SIGTERM",
    codes.EXIT_CLOSED_PIPE: "whoever read our output has left",
}


def commands() -> Iterator[tuple[str, click.Context]]:
    """Every command with its context, in the order of `byte --help`."""
    root = click.Context(cli, info_name="byte", terminal_width=_WIDTH, **cli.context_settings)
    yield from _below(root)


def _below(context: click.Context) -> Iterator[tuple[str, click.Context]]:
    yield context.command_path, context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from _below(
                    click.Context(command, parent=context, info_name=name, terminal_width=_WIDTH)
                )


def command_help() -> str:
    return "\n\n".join(f"### {path}\n\n```text\n{context.get_help()}\n```" for path, context in commands())


def setting_table() -> str:
    rows = [
        (f"`{row.name}`" if row.name else "", code(row.env), row.meaning, row.default) for row in SETTINGS
    ]
    return table(("in the file", "variables", "meaning", "without it"), rows)


def task_table() -> str:
    tasks = load({"BYTE_HOME": str(DOCS / "no-home")}).tasks
    rows = [
        (code([name, *task.aliases]), task.label, task.description, code(task.models), f"`{task.light}`")
        for name, task in tasks.items()
    ]
    return table(("task", "label", "what for", "models, in order", "light"), rows)


def alias_table() -> str:
    rows = [(f"`{name}`", f"`{model}`") for name, model in shipped_models().aliases.items()]
    return table(("alias", "model"), rows)


def constant_table() -> str:
    models = shipped_models()
    rows = []
    for name, model in models.constants.items():
        successor = models.successors.get(model)
        rows.append((f"`models.{name}`", f"`{model}`", f"`{successor.id}`" if successor else ""))
    return table(("constant", "id", "no longer served; who answers"), rows)


def successor_table() -> str:
    rows = [
        (f"`{dead}`", f"`{one.id}`", one.reason, one.since)
        for dead, one in shipped_models().successors.items()
    ]
    return table(("dead id", "who answers", "why", "since"), rows)


def sim_keys() -> str:
    return table(
        ("key", "what it stands for"), [(f"`{key}`", what) for key, what in accounts.BUILT_IN.items()]
    )


def sim_refusals() -> str:
    """The faults that say no, and nothing else: they take the same, if they take anything."""
    found = [(f"`{row.name}`", row.summary, row.rows) for row in faults.table().values() if _is_refusal(row)]
    return table(("fault", "status and words", "rows"), found)


def sim_faults() -> str:
    rows = [
        (f"`{row.name}`", _params(row.params), row.summary, row.rows)
        for row in faults.table().values()
        if not _is_refusal(row)
    ]
    return table(("fault", "keys", "what happens", "rows"), rows)


def _is_refusal(row: Fault) -> bool:
    return row.refuse is not None and row.params.keys() <= {"retry_after"}


def _params(params: Mapping[str, object]) -> str:
    return ", ".join(f"`{key}` ({value})" if value != "" else f"`{key}`" for key, value in params.items())


def scenarios() -> str:
    """What the rows promise, which tests/test_scenarios.py holds them to."""
    return _of_bench("days")


def charges() -> str:
    """What the shapes cost, which tests/test_exactness.py holds all books to."""
    return _of_bench("charges")


def _of_bench(name: str) -> str:
    made: str = runpy.run_path(str(DOCS.parent / "bench" / f"{name}.py"))["table"]()
    return made


PARTS: dict[str, Callable[[], str]] = {
    "error_tree": error_tree,
    "error_table": error_table,
    "exit_table": exit_table,
    "command_help": command_help,
    "setting_table": setting_table,
    "task_table": task_table,
    "alias_table": alias_table,
    "constant_table": constant_table,
    "successor_table": successor_table,
    "scripted_codes": scripted_codes,
    "sim_keys": sim_keys,
    "sim_refusals": sim_refusals,
    "sim_faults": sim_faults,
    "scenarios": scenarios,
    "charges": charges,
}


def stale(folder: Path = DOCS) -> dict[Path, str]:
    """The pages that are not as they should be, with what they should hold."""
    texts = {page: page.read_text("utf-8") for page in sorted(folder.glob("*.md"))}
    return {page: new for page, text in texts.items() if (new := fresh(text)) != text}


def main(args: list[str]) -> int:
    """Returns the exit code."""
    if args not in ([], ["--check"]):
        click.echo("scripts/docs [--check]", err=True)
        return 2
    pages = stale()
    for page, text in pages.items():
        if args:
            click.echo(f"{page.relative_to(DOCS.parent)} is stale; run scripts/docs", err=True)
        else:
            page.write_text(text, "utf-8")
            click.echo(f"{page.relative_to(DOCS.parent)} is written anew", err=True)
    return 1 if args and pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
