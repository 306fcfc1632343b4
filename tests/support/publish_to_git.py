"""A lab's publish to a git repository, in a process that can be killed: REMOTE WORK TIMEOUT NUMBER..."""

import sys
from pathlib import Path

from publications import publication, small

from benchyard.publish.destinations import Site
from benchyard.publish.git.repository import make
from benchyard.publish.settings import GitRepository

if __name__ == "__main__":
    remote, work, timeout_s, *numbers = sys.argv[1:]
    settings = GitRepository(url=remote, timeout_s=float(timeout_s))
    place = make("mirror", settings, Site(Path("/nowhere"), Path(work), "", ""))
    print("ready", flush=True)
    for number in map(int, numbers):
        place.publish_now(publication(small(number), small(number + 1)))
        print(number, flush=True)
