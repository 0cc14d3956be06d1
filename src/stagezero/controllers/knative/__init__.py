"""Knative Serving: Service, Configuration, Revision, Route, PodAutoscaler, ServerlessService."""
