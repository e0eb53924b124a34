"""Stage 4: bytes to deltas and back. Pure."""
