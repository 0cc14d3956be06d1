"""Pure decisions of the mesh: objects to Envoy resources."""
