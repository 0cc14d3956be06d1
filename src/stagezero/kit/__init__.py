"""Floor 0: clock, named tasks, work queue, process handle, logging, HTTP messages.

Stdlib only; no word of the domain.
"""
