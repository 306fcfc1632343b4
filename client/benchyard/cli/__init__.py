"""The command `benchyard`: a thin shell over the client library, the tasks library and the lab's own tools.

Importing this package imports click and nothing heavier: each command's module is imported when it is used.
"""

from benchyard.cli.root import main

__all__ = ["main"]
