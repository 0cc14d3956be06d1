"""Floor 4: one folder a domain, strangers to each other: plans/ (pure) and the shells that gather for them."""
