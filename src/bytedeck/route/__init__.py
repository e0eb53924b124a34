"""Stage 1: which models may answer, in which order, and why. Pure."""
