"""What all matches say of the models: results, ratings and how sure they are, who meets next, what counts as evidence."""
