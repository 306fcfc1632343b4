"""Packing and unpacking by gzip, never into more bytes than a result may have.

ISA-L does it (python-isal, from the pycompression project): results are taken in and read as fast as their JSON.
"""

from isal import isal_zlib

from benchyard.results.errors import ResultError

#: Bytes that a result's file may have, unpacked; the largest that pyperformance makes have some 20 MB.
MOST_BYTES = 100_000_000

#: How a packed file begins.
MAGIC = b"\x1f\x8b"

# The best that ISA-L has takes twice as long for 4 % less. Its header has no time, so the same bytes are packed alike.
_LEVEL = 1
_GZIP = 31
_PIECE = 4_000_000

# Its stub says that this is an exception, and it is a class.
_Error: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def pack(data: bytes) -> bytes:
    """Pack bytes."""
    return isal_zlib.compress(data, _LEVEL, _GZIP)


def unpack(packed: bytes, most: int = MOST_BYTES) -> bytes:
    """Unpack what gzip has packed, in one part or several; ResultError where it is damaged, or longer than `most`."""
    pieces: list[bytes] = []
    size = 0
    while packed:
        part = isal_zlib.decompressobj(_GZIP)
        while not part.eof:
            try:
                piece = part.decompress(packed, min(_PIECE, most + 1 - size))
            except _Error as exc:
                raise ResultError("the result file is damaged: gzip cannot unpack it") from exc
            pieces.append(piece)
            size += len(piece)
            check_size(size, most)
            packed = part.unconsumed_tail
            if not piece and not part.eof:
                raise ResultError("the result file is cut short: gzip cannot unpack all of it")
        packed = part.unused_data
    return b"".join(pieces)


def unpacked(data: bytes) -> bytes:
    """The bytes of a result's file that may be packed; ResultError where they are more than a result may have."""
    if data.startswith(MAGIC):
        return unpack(data)
    check_size(len(data))
    return data


def check_size(size: int, most: int = MOST_BYTES) -> None:
    """ResultError for more bytes than a result may have."""
    if size > most:
        raise ResultError(f"the result file has more than the {most / 1e6:g} MB (unpacked) that a result may have")
