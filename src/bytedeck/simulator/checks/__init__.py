"""A request, from its bytes to a `Call` that a model can take, or a refusal."""
