"""Who may ask, what it may cost, what was charged."""
