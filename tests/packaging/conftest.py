"""The repository as git sees it, and the distributions built from it."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

SOURCE_ROOTS = ("master", "workers", "steps", "plugins", "client")


@dataclass(frozen=True)
class Repository:
    """A checkout: its files are those that git tracks, or would if asked to add everything."""

    path: Path
    files: tuple[PurePosixPath, ...] = field(repr=False)

    def packaged(self) -> dict[PurePosixPath, Path]:
        """What the distribution holds: the path when installed, and the file here."""
        ours = {
            file.relative_to(file.parts[0]): self.path / file
            for file in self.files
            if file.parts[0] in SOURCE_ROOTS and file.parts[1] == "benchyard"
        }
        playbooks = (file for file in self.files if file.parts[0] == "ansible")
        return ours | {PurePosixPath("benchyard") / file: self.path / file for file in playbooks}

    def modules(self) -> dict[str, Path]:
        """Our modules by dotted name."""
        return {
            ".".join(name.with_suffix("").parts).removesuffix(".__init__"): path
            for name, path in self.packaged().items()
            if name.suffix == ".py"
        }

    def build(self, source: Path, kind: str, folder: Path) -> Path:
        """Build a "wheel" or "sdist" of `source` into `folder`, with the build backend that is installed."""
        done = subprocess.run(
            [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder, source],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (built,) = folder.iterdir()
        return built


@pytest.fixture(scope="session")
def repository() -> Repository:
    root = Path(__file__).parents[2]
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = sorted(set(listing.stdout.split("\0")) - {""})
    return Repository(root, tuple(PurePosixPath(name) for name in names if (root / name).exists()))


@pytest.fixture(scope="session")
def wheel(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.build(repository.path, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.build(repository.path, "sdist", tmp_path_factory.mktemp("sdist"))
