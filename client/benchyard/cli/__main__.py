"""`python -m benchyard.cli`: the same command, for a given interpreter."""

import sys

from benchyard.cli import main

if __name__ == "__main__":
    sys.exit(main())
