"""What whoever runs the simulator did wrong. What a client did wrong is a `Refusal`."""

from __future__ import annotations


class SimulatorError(Exception):
    """Bad options, an occupied port, a malformed script: one sentence that says what to do."""
