"""The examples of README.md and docs/, one by one, and the upstream that answers them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from bytedeck.config import shipped_models
from upstream import Answer, Seen, Upstream, chunk, events, listed, usage_of, whole, words

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))

_BLOCK = re.compile(r"(?P<mark><!-- not run: [^>]+ -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)  # fmt: skip
_ANSWER = "Here it is:\n\n```python\nprint('hello')\n```\n"
_BYTES_OF_A_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(32)


ELSEWHERE = ("clients.md",)
"""Pages whose examples want a gateway: tests/gateway/test_clients_docs.py runs them."""


class Block(NamedTuple):
    """A fenced block; `where` is `page:line`."""

    where: str
    kind: str
    text: str
    is_run: bool


def blocks(kind: str, pages: Iterable[Path] = ()) -> list[Block]:
    """All blocks of a kind, marked ones too: of these pages, or of all whose examples need nothing of their own."""
    found = []
    for page in pages or [one for one in PAGES if one.name not in ELSEWHERE]:
        text = page.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            where = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start('text')) + 1}"
            found.append(Block(where, match["kind"], match["text"], match["mark"] is None))
    return [block for block in found if block.kind == kind]


def play(upstream: Upstream) -> None:
    """Let the upstream list every model that the docs name, and answer what was asked for."""
    ids = {*shipped_models().names, *re.findall(r"[~\w.-]+/[\w.:-]+", _all_text())}
    catalogue = whole({"data": [listed(one) for one in sorted(ids - set(shipped_models().successors))]})
    upstream.on("/models/user", catalogue)
    upstream.on("/models", catalogue)
    upstream.script(_answer)


def files(folder: Path) -> None:
    """What the examples attach or read."""
    (folder / "photo.png").write_bytes(_BYTES_OF_A_PICTURE)
    (folder / "paper.pdf").write_bytes(b"%PDF-1.7\n")
    (folder / "notes.md").write_text("# Notes\n\nNone yet.\n", "utf-8")


def _all_text() -> str:
    return "".join(page.read_text("utf-8") for page in PAGES)


def _answer(seen: Seen) -> Answer:
    """Words, a tool call or JSON, as the request wants it."""
    body: dict[str, Any] = seen.json
    if body.get("tools") and body["messages"][-1]["role"] == "user":
        name = body["tools"][0]["function"]["name"]
        call = {"index": 0, "id": "call_1", "type": "function"}
        call["function"] = {"name": name, "arguments": '{"city": "Oslo"}'}
        return events(
            chunk({"role": "assistant", "tool_calls": [call]}),
            chunk({}, finish="tool_calls"),
            chunk(usage=usage_of("")),
            "[DONE]",
        )
    if "response_format" in body:
        return words(json.dumps({"name": "Ada Lovelace", "born": 1815}))
    return words(_ANSWER)
