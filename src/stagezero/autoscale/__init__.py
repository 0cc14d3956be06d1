"""Floor 1: the autoscaler's arithmetic: windows, panic mode, desired scale. Numbers only."""
