"""Floor 4: routes and gateways to Envoy snapshots, served over xDS."""
