"""Packing by gzip: whatever is unpacked, it takes no more than what a result may have."""

import gzip
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchyard.results.errors import ResultError
from benchyard.results.packing import pack, unpack

#: What gzip makes of nothing, with a name in its header and without.
NOTHING = gzip.compress(b"", mtime=0)

#: Bytes that hardly get smaller.
LONG = hashlib.shake_256(b"long").digest(600_000)


@settings(max_examples=30)
@given(st.lists(st.sampled_from([b"", b"1", b"{}" * 9, bytes(5_000_000), LONG]), max_size=4), st.sampled_from([1, 9]))
def test_parts_are_joined(parts: list[bytes], level: int) -> None:
    """What is packed in several parts is unpacked as one, also where these are empty, or long."""
    assert unpack(b"".join(gzip.compress(part, level) for part in parts)) == b"".join(parts)
    assert unpack(b"".join(map(pack, parts))) == b"".join(parts)


def test_many_parts() -> None:
    """As many parts as block compression makes are unpacked; a file of nothing but empty ones is refused early."""
    assert unpack(gzip.compress(b"0123456789") * 1600) == b"0123456789" * 1600
    for packed in (NOTHING * 50_000, pack(b"{}") + NOTHING * 50_000):
        with pytest.raises(ResultError, match="^the result file has more than 2000 parts: unpack it, and pack it as "):
            unpack(packed)


@pytest.mark.parametrize("zeros", [1, 512, 600_000])
def test_padding(zeros: int) -> None:
    """What tapes and archives fill their blocks with is not of the file; a file of nothing else is none."""
    assert unpack(pack(LONG) + bytes(zeros)) == LONG
    with pytest.raises(ResultError, match="damaged"):
        unpack(bytes(zeros) + pack(LONG))


@pytest.mark.parametrize("left", [1, 9, 15, 249_990, 250_010, 599_999])
def test_cut_short(left: int) -> None:
    """Wherever it ends too early, it is told so."""
    with pytest.raises(ResultError, match="cut short"):
        unpack(pack(LONG)[:left])


def test_end_is_damaged() -> None:
    """What follows the last part must be one, and sums are looked at."""
    packed = pack(LONG)
    for damaged in (packed + b"and more than a header", packed[:-8] + bytes(8), packed[:9] + b"\xff" * 300_000):
        with pytest.raises(ResultError, match="damaged"):
            unpack(damaged)


def test_no_more_than_a_result_may_have() -> None:
    """Bytes are counted over all parts, and unpacking ends with the first too many."""
    packed = pack(bytes(600)) * 2
    assert len(unpack(packed, 1200)) == 1200
    with pytest.raises(ResultError, match="more than the 0.001199 MB"):
        unpack(packed, 1199)
