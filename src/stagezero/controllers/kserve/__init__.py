"""KServe: InferenceService to Knative Service and VirtualService, runtime selection, status."""
