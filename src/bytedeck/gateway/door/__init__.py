"""Who may come in: keys, this machine's own programs, pages of the web."""
