"""Files that were measured elsewhere."""

from pathlib import Path

import pyperf

from benchyard.results.intake import take_in


def test_file_of_another_lab(tmp_path: Path) -> None:
    """What a lab's own file says of its interpreter is known where it is taken in."""
    metadata = {
        "name": "nbody",
        "commit_id": "1" * 40,
        "commit_branch": "idea",
        "benchyard_flags": "nogil,pgo",
        "benchyard_patch": "abcdef0123" * 6 + "abcd",
        "benchyard_remote": "ada",
        "benchyard_compiler": "gcc (Debian) 12.2.0",
        "python_version": "3.15.0 (64-bit)",
        "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    }
    runs = [pyperf.Run([1.0, 1.1], metadata=metadata, collect_metadata=False)]
    file = tmp_path / "a.json"
    pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(str(file))
    told = {"commit": None, "branch": None, "now": 1795345200.0, "present": None}
    columns = take_in(tmp_path, file.read_bytes(), host="bench", **told)  # type: ignore[arg-type]
    assert columns["flags"] == ("nogil", "pgo")
    assert columns["path"].startswith("bm-20261122-3.15.0-1111111-NOGIL/bm-20261122-bench-x86_64-python-idea+abcdef0-")
    interpreter = columns["interpreter"]
    assert (interpreter["remote"], interpreter["compiler"]) == ("ada", "gcc (Debian) 12.2.0")
    assert (interpreter["patch"], interpreter["ref"]) == (metadata["benchyard_patch"], None)
