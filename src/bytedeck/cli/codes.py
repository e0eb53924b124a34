"""Exit codes that no error of ours has; the others stand in `errors.TABLE`. Imports nothing: `entry` needs it first."""

EXIT_BUG = 1
EXIT_OUTPUT = 9
"""The answer could not be written where stdout goes."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells count it: 128 + SIGINT."""
EXIT_CLOSED_PIPE = 141
"""Whoever read our output has left: 128 + SIGPIPE."""
EXIT_TERMINATED = 143
"""128 + SIGTERM."""
