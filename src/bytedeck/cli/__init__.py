"""The command line: one file per verb group, each a thin skin over the client."""
