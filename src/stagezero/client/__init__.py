"""Floor 2: the Kubernetes client, watches and informer caches; the transport is given.

The only road to the API.
"""
