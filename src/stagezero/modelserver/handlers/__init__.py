"""One file a protocol: which paths it has, what it asks of the model, how it answers."""
