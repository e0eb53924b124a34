"""The catalogue: which models there are, what they cost, and who serves them."""
