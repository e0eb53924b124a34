"""Who judges, what a judge is shown and says, what follows from it, and how far judges can be trusted."""
