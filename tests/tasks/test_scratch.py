"""Temporary folders, and what is left of those whose makers were killed."""

import signal
import subprocess
import sys
from pathlib import Path

from benchyard.tasks.scratch import scratch_folder

HOLD = """\
import sys, time
from pathlib import Path
from benchyard.tasks.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "smoke-") as folder:
    (folder / "log").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_leftovers_are_swept(tmp_path: Path) -> None:
    """A folder that is in use stays; once its maker was killed, the next one removes it, and nothing else."""
    (tmp_path / "other").mkdir()
    maker = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert maker.stdout is not None
        held = Path(maker.stdout.readline().strip())
        with scratch_folder(tmp_path, "smoke-") as mine:
            assert mine != held
            assert (held / "log").is_file()
        assert not mine.exists()
    finally:
        maker.send_signal(signal.SIGKILL)
        maker.communicate()
    assert held.is_dir()
    with scratch_folder(tmp_path, "smoke-"):
        assert not held.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
