"""`/v1/messages`, as Anthropic has it."""

from .skin import Messages, count

__all__ = ["Messages", "count"]
