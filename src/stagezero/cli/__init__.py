"""Floor 6: the commands: parse, call, print."""
