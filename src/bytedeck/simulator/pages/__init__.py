"""OpenRouter's pages of data, and the simulator's own."""
