"""A local OpenRouter with every known failure on a switch. Needs the extra `bytedeck[server]`.

    from bytedeck.simulator import Simulator

    with Simulator(seed="7") as sim:
        client = OpenAI(base_url=sim.base_url, api_key=sim.api_key)

It imports nothing of the rest of Bytedeck, so that a shared misreading of the wire cannot hide.
"""

from __future__ import annotations

from .errors import SimulatorError
from .process import SimulatorProcess
from .server import serve
from .settings import Settings
from .thread import Simulator

__all__ = ["Settings", "Simulator", "SimulatorError", "SimulatorProcess", "serve"]
