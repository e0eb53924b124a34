"""Debates and battles between models: what is said, who has won, what it says of the models. All of it pure."""
