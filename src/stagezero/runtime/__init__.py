"""Floor 3: the loop engine: watch, per-object queue, gather, plan, carry out, requeue."""
