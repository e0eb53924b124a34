"""Data that ships: the task registry, model names, aliases and successors."""
