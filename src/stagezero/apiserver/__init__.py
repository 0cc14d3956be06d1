"""Floor 4: the embedded Kubernetes API over the store.

Knows no serving kind and never imports the loop engine.
"""
