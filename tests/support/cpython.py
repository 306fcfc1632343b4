"""CPython's real source as a git repository of a few commits, one of which makes a benchmark really slower."""

import os
import subprocess
import tarfile
from pathlib import Path

#: Names the folder of a source archive, `*.orig.tar.gz` as Debian has it; `.ci/run` fetches it.
VARIABLE = "BENCHYARD_CPYTHON_SOURCE"

#: Each float that is made costs a hundred rounds more; products of floats do not all pass through `float_mul`.
WHERE = "PyFloat_FromDouble(double fval)\n{\n"
SLOW = WHERE + "    for (volatile int i = 0; i < 100; i++) { }\n"


def source_archive() -> Path | None:
    """The archive of the source, None where this machine has none."""
    folder = os.environ.get(VARIABLE)
    return next(iter(sorted(Path(folder).glob("python3.*.orig.tar.*"))), None) if folder else None


class CPython:
    """The repository at `path`: `main` has the release, a commit in Lib, and one that makes floats slower."""

    def __init__(self, path: Path, archive: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            for member in members:
                member.name = member.name.partition("/")[2]
                member.uid = member.gid = 0
            tar.extractall(path, [member for member in members if member.name])  # noqa: S202 (a release of CPython)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.org")
        self.release = self.commit("The release")
        self.git("tag", "release")
        this = path / "Lib" / "this.py"
        this.write_text(this.read_text() + "# a comment\n")
        self.commit("Change the library alone")
        floats = path / "Objects" / "floatobject.c"
        text = floats.read_text()
        slower = text.replace(WHERE, SLOW)
        assert slower != text, "PyFloat_FromDouble is not where it was"
        floats.write_text(slower)
        self.slower = self.commit("Make floats with care")

    @property
    def url(self) -> str:
        """Its address."""
        return self.path.resolve().as_uri()

    def commit(self, message: str) -> str:
        """Commit all there is; gives the commit."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Call git in it; gives what it prints."""
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()
