"""Floor 4: pods to processes: volumes, model download, probes, logs, environments, the supervisor."""
