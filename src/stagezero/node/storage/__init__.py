"""Models from where they are stored to a folder a pod can read: downloads, archives, the cache."""
