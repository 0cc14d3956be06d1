"""Floor 4: what runs inside a pod: transports, handlers, registry, runtimes."""
