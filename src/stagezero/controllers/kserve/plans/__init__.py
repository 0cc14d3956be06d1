"""Pure decisions of the KServe controllers."""
