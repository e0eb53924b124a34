"""Our own server: sockets, bounds on connections, workers, and an orderly end."""
