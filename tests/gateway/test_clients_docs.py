"""The examples of docs/clients.md run, each in the environment of its client, before a gateway and the simulator."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs_blocks import DOCS, Block, blocks
from gateways import Gateway
from programs import Programs

PAGE = DOCS / "clients.md"
HERE = "http://127.0.0.1:4000"
APART = re.compile(r"^(?:from|import) (?:langchain_openrouter|pydantic_ai|llm)\b", re.MULTILINE)
"""What lives in an environment of its own."""


def _blocks(kind: str) -> list[Block]:
    return blocks(kind, [PAGE])


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    running = Programs()
    yield running
    running.close()


def test_examples_of_node(gateway: Gateway, programs: Programs) -> None:
    """They say something, and end well; one after the other in one process."""
    found = _blocks("js")
    for number, block in enumerate(found):
        programs.keep(f"example-{number}.mjs", block.text.replace(HERE, gateway.url))
    names = [f"./example-{number}.mjs" for number in range(len(found))]
    line = f"for (const name of {names}) {{ await import(name); console.log('\\n§' + name); }}"
    said = programs.run("examples.mjs", line).split("§")
    assert [one.splitlines()[0] for one in said[1:]] == names
    assert all(one.partition("\n")[2].strip() for one in ["\n" + said[0], *said[1:-1]])
    assert [row.outcome for row in gateway.rows()] == ["answered"] * len(found)


@pytest.mark.parametrize("block", _blocks("python"), ids=lambda block: block.where)
def test_examples_of_python(
    block: Block, gateway: Gateway, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    """They say something, and end well."""
    text = block.text.replace(HERE, gateway.url)
    if APART.search(text):
        said = programs.run("of_example.py", text)
    else:
        exec(compile(text, block.where, "exec"), {"__name__": "example"})
        said = capsys.readouterr().out
    assert said.strip()
    assert {row.outcome for row in gateway.rows()} == {"answered"}


def test_llm(gateway: Gateway, programs: Programs, tmp_path: Path) -> None:
    """With the settings that the page shows."""
    [settings], [*_, line] = _blocks("yaml"), _blocks("sh")
    (tmp_path / "extra-openai-models.yaml").write_text(settings.text.replace(HERE, gateway.url), "utf-8")
    text = f"import shlex, sys\nfrom llm.cli import cli\ncli(shlex.split({line.text!r})[1:])\n"
    assert programs.run("of_llm_example.py", text, LLM_USER_PATH=str(tmp_path)).strip()
    [row] = gateway.rows()
    assert (row.task, row.outcome) == ("general", "answered")


def test_curl(gateway: Gateway) -> None:
    """A stream to its end."""
    line = _blocks("sh")[0].text.replace(HERE, gateway.url)
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True).stdout
    assert said.endswith("data: [DONE]\n\n")


def test_there_are_examples() -> None:
    """The search finds them."""
    assert len(_blocks("js")) > 4
    assert len(_blocks("python")) > 4
