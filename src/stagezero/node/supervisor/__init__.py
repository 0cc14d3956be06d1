"""The supervisor: a small process of its own that is the parent of pods and of Envoy.

It outlives the control plane, owns log files and exit codes, and imports nothing but the standard
library and itself, so that it starts at once, stays small and has no reason to change. Modules
`launch` and `client` are its other end: the control plane uses them, the process does not.
"""
