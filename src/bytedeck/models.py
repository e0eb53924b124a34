"""Named constants of models: `from bytedeck import models; models.GPT_4O`.

The names live in the shipped data alone. A constant is the id it always was; where that id is no
longer served, its successor answers and the reply's notes say so.
"""

from __future__ import annotations


def __getattr__(name: str) -> str:
    # Python itself asks modules for lower-case names such as __path__; they are no reason to read a file.
    if name.isupper():
        from .config import shipped_models

        found = shipped_models().constants.get(name)
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no constant {name!r}")


def __dir__() -> list[str]:
    from .config import shipped_models

    return sorted(shipped_models().constants)
