"""`/v1/responses`, as OpenAI and OpenRouter have it."""

from .skin import Responses

__all__ = ["Responses"]
