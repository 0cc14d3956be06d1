"""One file a framework: load a model folder, predict on decoded instances."""
