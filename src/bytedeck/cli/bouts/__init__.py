"""`byte debate` and `byte arena`: a match as a terminal shows it, and the commands of the arena."""
