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

# Bytes that are fed at once: each part of a file copies what it has not used of them.
_FED = 250_000

# Parts that a file may have: block compression (bgzip) makes one of every 64 kB.
_MOST_PARTS = 2000

# Its stub says that this is an exception, and it is a class.
_Error: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def pack(data: bytes) -> bytes:
    """Pack bytes."""
    return isal_zlib.compress(data, _LEVEL, _GZIP)


def unpack(packed: bytes, most: int = MOST_BYTES) -> bytes:
    """Unpack what gzip has packed, in one part or several; ResultError where it is damaged, or longer than `most`.

    Parts may be empty, so that no number of them makes it longer: there is a bound for them, too.
    """
    pieces: list[bytes] = []
    size = parts = 0
    rest = memoryview(packed)
    while rest and not (parts and _is_padding(rest)):
        part = isal_zlib.decompressobj(_GZIP)
        parts += 1
        if parts > _MOST_PARTS:
            raise ResultError(f"the result file has more than {_MOST_PARTS} parts: unpack it, and pack it as one")
        while not part.eof:
            fed = rest[:_FED]
            try:
                piece = part.decompress(fed, min(_PIECE, most + 1 - size))
            except _Error as exc:
                raise ResultError("the result file is damaged: gzip cannot unpack it") from exc
            pieces.append(piece)
            size += len(piece)
            check_size(size, most)
            used = len(fed) - len(part.unused_data if part.eof else part.unconsumed_tail)
            if not piece and not used and not part.eof:
                raise ResultError("the result file is cut short: gzip cannot unpack all of it")
            rest = rest[used:]
    return b"".join(pieces)


def _is_padding(rest: memoryview) -> bool:
    """Whether nothing but zeros is left, as tapes and archives fill their blocks with."""
    return rest[0] == 0 and not any(rest)


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
