"""Presets: the objects that an installation has from its first start. Pure data."""
