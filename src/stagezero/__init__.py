"""KServe, Knative Serving and Istio's gateway on one machine, answering to kubectl."""

__version__ = "0.1.0"
