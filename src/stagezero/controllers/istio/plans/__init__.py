"""Pure decisions of the Istio layer."""
