"""What a checked body says, in the shape of chat completions: one file for each skin."""
