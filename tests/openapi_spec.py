"""OpenRouter's vendored description, for tests that judge what the simulator sends by it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "vendor" / "openrouter"


@cache
def description() -> dict[str, Any]:
    """The whole document."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load((VENDOR / "openapi.trim.yaml").read_text("utf-8"), Loader=loader)
    return document


@cache
def component(name: str) -> jsonschema_rs.Draft202012Validator:
    """A validator of one component."""
    components = description()["components"]
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema_rs.Draft202012Validator(schema, offline=True)
