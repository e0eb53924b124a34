"""Shipped data, the user's file and the environment → one frozen `Config`.

`import bytedeck.config` reads no file: TOML is read in `load()` only, and the shipped part of it once.
The order is environment, then the user's file, then what ships; nothing is ever half-loaded.
"""

from .edit import set_budget, set_per_model
from .names import fold, nearest, stands_for
from .order import ordered, written
from .secret import Secret, key_path, remove_key, save_key
from .settings import SETTINGS, Setting, shown
from .shape import Auto, Config, Successor, Task
from .sources import load, shipped_arena, shipped_models, shipped_tasks

__all__ = [
    "SETTINGS",
    "Auto",
    "Config",
    "Secret",
    "Setting",
    "Successor",
    "Task",
    "fold",
    "key_path",
    "load",
    "nearest",
    "ordered",
    "remove_key",
    "save_key",
    "set_budget",
    "set_per_model",
    "shipped_arena",
    "shipped_models",
    "shipped_tasks",
    "shown",
    "stands_for",
    "written",
]
