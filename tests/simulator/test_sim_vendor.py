"""The vendored description is the one that was taken, and what is made of it is up to date."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from bytedeck.simulator.checks import check
from bytedeck.simulator.shapes import Skin
from openapi_spec import ROOT, VENDOR, description

SKINS: dict[str, Skin] = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "messages",
    "/embeddings": "embeddings",
    "/rerank": "rerank",
}


def test_the_vendored_file_is_untouched() -> None:
    """SHA256SUMS names every vendored file that has one, and its sum holds."""
    for line in (VENDOR / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split()
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == expected


def test_the_request_schemas_are_not_stale() -> None:
    """`scripts/openapi --check` is content with data/requests.json."""
    made = str(ROOT / "vendor" / "requests.py")
    done = subprocess.run([sys.executable, made, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_licence_lies_beside_it() -> None:
    """MIT wants its text with every copy."""
    assert description()["info"]["license"]["name"] == "MIT"
    assert "Permission is hereby granted, free of charge" in (VENDOR / "LICENSE").read_text()


def test_only_what_is_reached_is_kept() -> None:
    """Each kept component is referred to, and each reference is kept."""
    whole = msgspec.json.decode((ROOT / "src/bytedeck/simulator/data/requests.json").read_bytes())
    assert set(_references(whole)) == set(whole["$defs"])


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"].removeprefix("#/$defs/")] if isinstance(node.get("$ref"), str) else []
    return here + [name for value in node.values() for name in _references(value)]


def _examples() -> list[tuple[Skin, dict[str, Any]]]:
    found = []
    for path, skin in SKINS.items():
        content = description()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        schema = content["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        schema = description()["components"]["schemas"].get(name, schema)
        found += [(skin, example) for example in (content.get("example"), schema.get("example")) if example]
    return found


@pytest.mark.parametrize(("skin", "example"), _examples())
def test_the_descriptions_own_examples_are_accepted(skin: Skin, example: dict[str, Any]) -> None:
    """What OpenRouter shows as a request passes the check."""
    assert check.read(skin, msgspec.json.encode(example), {}).skin == skin
