"""Pure decisions of the node."""
