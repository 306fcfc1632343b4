"""Real bare repositories to publish to, and what is in them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchyard.publish.git.repository import GitDestination

#: `destination(work="work", **settings)`: one that publishes to the remote; each `work` is a lab of its own.
MakeDestination = Callable[..., GitDestination]


class Remote:
    """A bare repository, as a server has it, and what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main")

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        """Call git in it; gives what it prints."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, input=data, capture_output=True, check=True, env=clean | who
        )
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def files(self, branch: str = "main") -> dict[str, bytes]:
        """All files of a branch with their bytes."""
        names = [name for name in self.git("ls-tree", "-r", "-z", "--name-only", branch).split("\0") if name]
        return {name: self.read(name, branch) for name in names}

    def read(self, name: str, branch: str = "main") -> bytes:
        """The bytes of a file, as they are in the repository."""
        argv = ["git", "cat-file", "blob", f"{branch}:{name}"]
        return subprocess.run(argv, cwd=self.path, capture_output=True, check=True).stdout

    def text(self, name: str) -> str:
        """The same of a text."""
        return self.read(name).decode()

    def subjects(self, branch: str = "main") -> list[str]:
        """The first lines of the messages of all commits, the first commit first; [] where there is none."""
        if not self.git("for-each-ref", f"refs/heads/{branch}"):
            return []
        return self.git("log", "--reverse", "--format=%s", branch).splitlines()

    def add(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Commit files on top, as somebody else does by a push."""
        old = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        lines = self.git("ls-tree", "-r", old).splitlines() if old else []
        blobs = {line.partition("\t")[2]: line.split()[2] for line in lines}
        for name, data in files.items():
            blobs[name] = self.git("hash-object", "-w", "--stdin", data=data)
        return self.put(blobs, old, branch)

    def put(self, blobs: dict[str, str], parent: str, branch: str = "main", message: str = "Theirs") -> str:
        """Commit a whole tree by its blobs."""
        listed = "".join(f"100644 {blob}\t{name}\n" for name, blob in blobs.items())
        environ = {**os.environ, "GIT_INDEX_FILE": str(self.path / "their-index")}
        for argv, data in ((("read-tree", "--empty"), b""), (("update-index", "--index-info"), listed.encode())):
            subprocess.run(["git", *argv], cwd=self.path, input=data, env=environ, check=True)
        written = subprocess.run(["git", "write-tree"], cwd=self.path, env=environ, capture_output=True, check=True)
        parents = ["-p", parent] if parent else []
        commit = self.git("commit-tree", written.stdout.decode().strip(), *parents, "-m", message)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def hook(self, name: str, script: str) -> None:
        """Let the repository run a shell script at each push."""
        path = self.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
