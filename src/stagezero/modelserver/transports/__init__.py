"""How requests come in: bytes on a connection to a Request, a Response to bytes."""
