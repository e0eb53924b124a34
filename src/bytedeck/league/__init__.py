"""`hub.arena`: the score that is kept, tournaments, and the way from the ratings into the order of a task."""
