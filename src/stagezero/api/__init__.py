"""Floor 1: the nouns, one module a group.

Fields, defaults, checks, printed columns, schema. Pure data.
"""
