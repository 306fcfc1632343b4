"""`benchyard lab rebuild-index`: the index of a lab, of its files."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from benchyard.daemon.lock import held
from benchyard.lab.paths import LabPaths

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_rebuilt(run_program: "Run", real_results: Path, tmp_path: Path) -> None:
    """Files of a lab that is down get rows, once; one that runs is refused, and so is a folder without a lab."""
    root = tmp_path / "lab"
    assert run_program("lab", "init", str(root), "--no-isolated").status == 0
    folder = min(real_results.glob("bm-*"))
    shutil.copytree(folder, root / "results" / folder.name)
    ran = run_program("lab", "rebuild-index", str(root))
    (file,) = folder.iterdir()
    said = f"{folder.name}/{file.name} in the results directory is result 1 from now on\n"
    assert (ran.status, ran.out, ran.err) == (0, f"the index of the lab in {root} is rebuilt: 1 added\n", said)
    ran = run_program("lab", "rebuild-index", str(root), "--json")
    assert ran.json == {"added": 0, "missing": 0, "back": 0, "measured": 1, "unreadable": 0}
    with held(LabPaths(root).lock):
        ran = run_program("lab", "rebuild-index", str(root))
    assert ran.status == 1
    assert ran.err == f"benchyard: the lab in {root} is running; stop it first with `benchyard lab down {root}`\n"
    ran = run_program("lab", "rebuild-index", str(tmp_path / "nowhere"))
    assert ran.status == 1 and len(ran.err.splitlines()) == 1
