"""Pure decisions of the workloads controllers."""
