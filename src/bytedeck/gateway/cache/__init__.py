"""Answers that are kept, or heard by several who ask the same."""
