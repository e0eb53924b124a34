"""Battles by themselves: `hub.arena.run`. Each is of the pair that tells most then, within a number and a budget.

`field` decides which battle is next and whether there is money for it, and keeps count; `driving` holds them, in threads and in
tasks; `reading` checks what was asked for. Each battle is a match like any other: whoever stops here loses none.
"""

from .driving import aheld, held
from .field import Aim, Field, Progress, Terms
from .reading import aimed, prompts, terms

__all__ = ["Aim", "Field", "Progress", "Terms", "aheld", "aimed", "held", "prompts", "terms"]
