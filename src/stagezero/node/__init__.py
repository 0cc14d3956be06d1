"""Floor 4: pods to processes: volumes, models, probes, logs, environments, the supervisor."""
