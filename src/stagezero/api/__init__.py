"""Floor 1: the nouns. One module a group: fields, defaults, checks, printed columns, schema. Pure data."""
