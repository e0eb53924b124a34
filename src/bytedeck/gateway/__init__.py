"""The gateway: clients of other protocols get what the core can do by changing a base URL. Imports no server."""
