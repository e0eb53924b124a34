"""What a match looks like: its story, transcript, page, card and replay, all made of its events and nothing else."""
