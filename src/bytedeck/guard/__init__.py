"""Stage 2: what a request may spend. Pure."""
