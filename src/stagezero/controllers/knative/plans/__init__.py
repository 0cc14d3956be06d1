"""Pure decisions of the Knative controllers."""
