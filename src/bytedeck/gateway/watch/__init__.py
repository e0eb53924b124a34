"""Watching the gateway: what it counts, and what it says of each request."""
