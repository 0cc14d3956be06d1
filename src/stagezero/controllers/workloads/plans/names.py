"""Names and hashes that workloads give to what they make: short, safe, and without vowels."""

import hashlib

import msgspec

from stagezero.api.base import part_to_raw
from stagezero.api.pod import PodTemplateSpec

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' letters of made-up names: no vowels, nothing that looks like something else."""

_SUFFIX_LENGTH = 5
_NAME_LIMIT = 63


def suffix(*seeds: object) -> str:
    """Five safe characters that follow from the seeds."""
    number = int.from_bytes(_digest(repr(seeds).encode()))
    letters = []
    for _ in range(_SUFFIX_LENGTH):
        number, position = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[position])
    return "".join(letters)


def generated(base: str, *seeds: object) -> str:
    """`base` and a suffix, cut so that the whole stays a valid name."""
    return base[: _NAME_LIMIT - _SUFFIX_LENGTH] + suffix(*seeds)


def template_hash(template: PodTemplateSpec, collisions: int = 0) -> str:
    """The pod-template-hash: the same for equal templates, in this and any other process."""
    encoded = msgspec.json.encode(part_to_raw(template), order="deterministic")
    number = int.from_bytes(_digest(encoded + str(collisions).encode())[:4])
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2s(data, digest_size=8).digest()
