"""Stage 5: the rows of an attempt, and questions over them. Pure."""
