"""Every failure on a switch: its rows by what they touch, and scripts over time."""
