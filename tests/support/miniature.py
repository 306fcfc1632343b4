"""A git repository of CPython's shape that builds in a second: `configure`, a Makefile, C, and `make install`.

What it installs is a compiled program that becomes the Python that runs the tests; so it measures like a real one.
"""

import os
import subprocess
import sys
from pathlib import Path

CONFIGURE = """\
#!/bin/sh
CC=gcc CFLAGS=-O0 prefix=/usr
for argument in "$@"; do
  case "$argument" in
    --prefix=*) prefix=${argument#--prefix=} ;;
    --enable-option-checking=*|--with-ensurepip=*|--with-lto|--enable-optimizations|--with-pydebug) ;;
    CC=*) CC=${argument#CC=} ;;
    CFLAGS=*) CFLAGS=${argument#CFLAGS=} ;;
    *) echo "configure: error: unrecognized options: $argument" >&2; exit 1 ;;
  esac
done
echo "checking whether the C compiler works... yes"
sed -e "s|@prefix@|$prefix|g" -e "s|@CC@|$CC|g" -e "s|@CFLAGS@|$CFLAGS|" Makefile.in > Makefile
"""

MAKEFILE = """\
python: python.c python.h
\t@CC@ @CFLAGS@ -o python python.c

install: python
\tmkdir -p $(DESTDIR)@prefix@/bin $(DESTDIR)@prefix@/lib
\tcp python $(DESTDIR)@prefix@/bin/python3.11
\tln -sf python3.11 $(DESTDIR)@prefix@/bin/python3
\techo static > $(DESTDIR)@prefix@/lib/libpython3.11.a
\techo data > $(DESTDIR)@prefix@/lib/data.txt
"""

PROGRAM = """\
#include <unistd.h>
#include "python.h"

int main(int argc, char **argv)
{
    (void)argc;
    execv(PYTHON, argv);
    return 127;
}
"""


class Miniature:
    """The repository at `path`, with its first commit on `main`, tagged v3.11.0."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.org")
        real = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        (path / "configure").write_text(CONFIGURE)
        (path / "configure").chmod(0o755)
        self.first = self.commit(
            "The first", **{"Makefile.in": MAKEFILE, "python.c": PROGRAM, "python.h": f'#define PYTHON "{real}"\n'}
        )
        self.git("tag", "v3.11.0")

    @property
    def url(self) -> str:
        """Its address."""
        return self.path.resolve().as_uri()

    def commit(self, message: str, **files: str) -> str:
        """Commit all there is, with these files written anew; gives the commit."""
        for name, text in files.items():
            (self.path / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, start: str = "main") -> None:
        """Begin a branch, and work on it."""
        self.git("checkout", "--quiet", "-b", name, start)

    def back(self) -> None:
        """Work on `main` again."""
        self.git("checkout", "--quiet", "main")

    def comment(self, text: str) -> str:
        """Commit a comment in the program, which changes nothing of what it does."""
        return self.commit(f"Say {text}", **{"python.c": f"{PROGRAM}/* {text} */\n"})

    def fork(self, path: Path) -> "Miniature":
        """A clone of it, as a fork is."""
        subprocess.run(["git", "clone", "--quiet", str(self.path), str(path)], check=True, capture_output=True)
        fork = object.__new__(Miniature)
        fork.path, fork.first = path, self.first
        fork.git("config", "user.name", "Bob")
        fork.git("config", "user.email", "bob@example.org")
        return fork

    def diff(self, **files: str) -> str:
        """The patch that writes these files anew; the working copy is left as it was."""
        for name, text in files.items():
            (self.path / name).write_text(text)
        self.git("add", "--all")
        made = self.git("diff", "--cached") + "\n"
        self.git("reset", "--quiet", "--hard")
        return made

    def git(self, *arguments: str) -> str:
        """Call git in it; gives what it prints."""
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()
