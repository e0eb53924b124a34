"""Every way in which OpenRouter says "no": its rows, by name, and its forms."""
