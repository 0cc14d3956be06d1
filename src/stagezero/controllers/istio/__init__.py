"""Knative's Istio layer: KIngress to VirtualService, and its readiness."""
