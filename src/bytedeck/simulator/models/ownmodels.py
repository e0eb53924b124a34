"""The rows `sim/…` of the catalogue: a plain model to which nothing happens, and one for each fault.

They answer like any other, but no list of models shows them: OpenRouter has none of them.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..faults import table as faults
from ..shapes import Model
from . import catalogue

_PLAIN = "openai/gpt-4o-mini"
_THINKING = "anthropic/claude-sonnet-4.5"
"""Rows after whose shape ours are made: price, window, parameters."""


def rows() -> list[Model]:
    """All of them, in the table's order."""
    built_in = catalogue.load()
    plain, thinking = built_in.find(_PLAIN), built_in.find(_THINKING)
    own = [_own(plain, faults.FINE, "A model of the simulator's to which nothing bad happens.")]
    own.append(
        _own(plain, faults.PREFIX + faults.RANDOM, "A model to which any fault may happen, by chance.")
    )
    for fault in faults.table().values():
        base = thinking if fault.needs_reasoning else plain
        own.append(_own(base, faults.PREFIX + fault.name, fault.summary))
    return own


def _own(base: Model, slug: str, summary: str) -> Model:
    name = f"Simulator: {slug.removeprefix(faults.PREFIX)}"
    shown = base.shown | {"id": slug, "canonical_slug": slug, "name": name, "description": summary}
    shown = shown | {"links": {"details": f"/api/v1/models/{slug}/endpoints"}, "hugging_face_id": None}
    return replace(
        base, id=slug, canonical=slug, name=name, shown=shown, providers=faults.PROVIDERS, is_listed=False
    )
