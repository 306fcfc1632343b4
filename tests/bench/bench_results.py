"""What results cost: taking them in, comparing them, series and lists of thousands, beside the tools used before.

The last line is a JSON object; `benchimport`, `benchcompare` and `benchseries` say what its keys are.
"""

import json
import tempfile
from pathlib import Path

import benchcompare
import benchimport
import benchseries


def main() -> None:
    """Measure, and print the tables and the last line."""
    found: dict[str, float] = {}
    for part in (benchimport, benchcompare, benchseries):
        with tempfile.TemporaryDirectory(prefix="benchyard-bench-") as folder:
            found |= part.measured(Path(folder))
        print(flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
