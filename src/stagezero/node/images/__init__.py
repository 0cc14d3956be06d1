"""Images as locked Python environments: the catalogue of names, and what is built from it."""
