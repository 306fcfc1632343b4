"""What `make demo` shows at its end; the demo as a whole is what a user types."""

import gzip
from pathlib import Path, PurePosixPath

import pytest

from benchyard.lab.demo import show_files
from benchyard.results.attachments import attachments_folder
from benchyard.results.files import store_file
from benchyard.results.trash import throw_away


def test_result_files_are_listed(real_results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kept file is named as it is on the disk; what belongs to one, and what is in the trash, is not."""
    root, stored = tmp_path / "results", []
    root.mkdir()
    for source in sorted(real_results.glob("bm-*/bm-*.json.gz"))[:3]:
        name = PurePosixPath(source.parent.name, source.name.removesuffix(".gz"))
        stored.append(store_file(root, name, gzip.decompress(source.read_bytes())))
    attached = attachments_folder(root / stored[0].path)
    attached.mkdir()
    (attached / "more.json").write_text("{}")
    throw_away(root, 3, stored[2].path, stored[2].sha256)
    assert (root / ".trash").is_dir()
    show_files(tmp_path)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == f"The results are pyperf files below {root}:"
    assert [line.strip() for line in shown[2:]] == sorted(file.path for file in stored[:2])
