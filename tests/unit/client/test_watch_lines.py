"""Cutting a watch's bytes into lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.client.https import Lines


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\n"], [b"ab"]),
        ([b"a\n", b"\n", b"b\n"], [b"a", b"b"]),
        ([b"a\nunfinished"], [b"a"]),
        ([b"", b"\n", b""], []),
        ([b"a", b"\n"], [b"a"]),
    ],
    ids=["two", "halves", "blank", "unfinished", "nothing", "end alone"],
)
def test_lines_come_out_whole(pieces: list[bytes], lines: list[bytes]) -> None:
    cutter = Lines()
    assert [line for piece in pieces for line in cutter.feed(piece)] == lines


@given(st.lists(st.text("ab \n")), st.lists(st.integers(0, 30)))
def test_it_does_not_matter_where_the_pieces_end(texts: list[str], cuts: list[int]) -> None:
    whole = "".join(texts).encode() + b"\n"
    pieces, rest = [], whole
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    cutter = Lines()
    found = [line for piece in [*pieces, rest] for line in cutter.feed(piece)]
    assert found == [line for line in whole.split(b"\n") if line.strip()]
