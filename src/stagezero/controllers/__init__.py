"""Floor 4: one folder a domain, strangers to each other.

Each: plans/ (pure) and the shells that gather for them.
"""
