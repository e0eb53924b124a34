"""The admin API under `/admin`: keys, usage, recent calls, health, limits, configuration; and its own description."""

from .answer import answer, refusal

__all__ = ["answer", "refusal"]
