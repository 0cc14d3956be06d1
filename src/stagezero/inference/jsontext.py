"""JSON bytes to Python values and back, lenient in what comes in and exact in what goes out.

msgspec is several times faster than the standard library but strict: it refuses `NaN`, a byte
order mark and lone surrogates, which upstream's servers accept. So it goes first, and whatever it
refuses is judged by `json`, whose error texts are also the ones upstream's clients know.
"""

import json
from typing import Any

import msgspec

_decode_fast = msgspec.json.Decoder().decode


def decode(body: bytes) -> Any:
    """The value of a JSON text; raises ValueError or RecursionError as `json.loads` does."""
    try:
        return _decode_fast(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return json.loads(body)


def encode(value: Any) -> bytes:
    """The value as `json.dumps` writes it: spaces after `,` and `:`, `NaN` as such."""
    return json.dumps(value).encode("ascii")
