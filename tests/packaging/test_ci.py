"""`.ci/run`, by which all is tested on a new machine."""

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository

NOBODY = 65534


def test_root_is_asked_for_at_once(repository: "Repository") -> None:
    """Who is not root is told so in one line, before anything is installed or made."""
    script = (repository.path / ".ci" / "run").read_text(encoding="utf-8")
    other = NOBODY if os.geteuid() == 0 else None
    done = subprocess.run(
        ["bash", "-s"],
        input=script,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        user=other,
        group=other,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("start this as root") and done.stderr.count("\n") == 1
