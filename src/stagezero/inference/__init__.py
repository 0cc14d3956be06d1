"""Floor 1: inference payloads, bytes to numpy and back.

Shared by the model server, the SDK and tests.
"""
