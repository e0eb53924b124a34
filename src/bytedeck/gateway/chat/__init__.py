"""`/v1/chat/completions`, as OpenAI and OpenRouter have it."""

from .skin import ChatCompletions

__all__ = ["ChatCompletions"]
