"""What decoding can refuse: a payload that its sender must correct."""


class InvalidPayload(ValueError):
    """The caller's body cannot be understood; the message is written for the caller."""
