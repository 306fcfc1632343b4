"""What can go wrong with result files.

ResultError
 |- StorageError   the disk refused: make room, or mend the directory, and store the file again
"""


class ResultError(Exception):
    """The bytes or names given are not those of a result; the message is one line for people."""


class StorageError(ResultError):
    """The results directory could not be written."""
