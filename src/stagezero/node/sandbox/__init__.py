"""The container runtime seam and its process implementation: networks, trees, containers.

What stands behind `runtime.Runtime` may change (stronger sandboxes, OCI images) unseen by pods.
"""
