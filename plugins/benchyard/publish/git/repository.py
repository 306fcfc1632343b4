"""Results in a git repository, in bench_runner's layout with rendered tables.

    FOLDER/README.md                             the index, between markers
    FOLDER/bm-DATE-VERSION-HASH[-FLAGS]/README.md
    FOLDER/bm-DATE-VERSION-HASH[-FLAGS]/bm-DATE-NICKNAME-MACHINE-FORK-REF-VERSION-HASH.json      as the lab has it
    FOLDER/bm-DATE-VERSION-HASH[-FLAGS]/bm-DATE-NICKNAME-MACHINE-FORK-REF-VERSION-HASH-vs-base.md

Each publish begins at what the remote has now, so nothing that is here needs to last: a push that was not noted is
found there, a damaged copy is fetched anew. What others have under a name is never replaced; a file goes below
`rerun-2/` then.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

import msgspec
from twisted.internet import threads

from benchyard.publish.describing import compared
from benchyard.publish.destinations import Publication, Receipt, Refused, Site, TryLater
from benchyard.publish.git import tables
from benchyard.publish.git.branch import Branch, trouble
from benchyard.publish.git.running import Busy, Git, GitFailed
from benchyard.publish.git.tree import Tree
from benchyard.publish.settings import GitRepository as Settings
from benchyard.results.errors import ResultError
from benchyard.results.layout import other_place, plain_path, read_name
from benchyard.results.markdown import headline
from benchyard.store.rows import BENCHMARKS, Result

# How often others may have pushed before us, and how many files of one name there may be.
_PUSHES, _MOST_RERUNS = 8, 1000

_HOSTED = re.compile(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?", re.ASCII)

Change = Callable[[Tree], str | None]


def make(_name: str, settings: Settings, site: Site) -> "GitDestination":
    """The destination of `[publish.NAME]`."""
    return GitDestination(settings, site)


class GitDestination:
    """A branch of a repository; what it keeps on disk is a copy that may be thrown away."""

    can_withdraw = True

    def __init__(self, settings: Settings, site: Site) -> None:
        self._settings = settings
        self._git = Git(site.work_dir / "git", timeout_s=settings.timeout_s)
        self._branch = Branch(self._git, settings.url, settings.branch)

    def refusal(self, result: Result) -> str | None:
        if result.kind != BENCHMARKS:
            return f"results of kind {result.kind} have no place in bench_runner's layout, where all files are of times"
        if result.path is None:
            return "it has no file yet"
        if read_name(plain_path(result.path)) is None:
            return f"its file is not named as bench_runner names them: {result.path}"
        return None

    def slot(self, result: Result) -> str:
        return str(plain_path(str(result.path)))

    async def publish(self, publication: Publication) -> Receipt:
        receipt: Receipt = await threads.deferToThread(self.publish_now, publication)
        return receipt

    async def withdraw(self, publication: Publication) -> Receipt:
        receipt: Receipt = await threads.deferToThread(self.withdraw_now, publication)
        return receipt

    async def close(self) -> None:
        self._git.stop()

    def publish_now(self, publication: Publication) -> Receipt:
        """The same as `publish`, in the caller's thread."""
        result = publication.head.result
        try:
            comparison = compared(publication)
        except ResultError as exc:
            raise Refused(f"its file or that of its base cannot be read: {exc}") from exc
        title = f"Add result {result.id}: {_in_short(result)}"
        lines = [headline(comparison)] if comparison is not None else []

        def add(tree: Tree) -> str:
            place = self._found(tree, result) or _free_place(tree, result)
            tree.write(str(place), publication.head.data)
            if comparison is not None:
                text = tables.render_comparison(publication, comparison)
                tree.write(str(tables.comparison_path(place)), text)
            self._render(tree, place)
            return str(place)

        return self._commit(add, "\n\n".join([title, *lines, publication.link]))

    def withdraw_now(self, publication: Publication) -> Receipt:
        """The same as `withdraw`, in the caller's thread."""
        result = publication.head.result

        def remove(tree: Tree) -> str | None:
            place = self._found(tree, result)
            if place is None:
                return None
            tree.remove(str(place))
            for path in tree.paths():
                if tables.is_derived(PurePosixPath(path), place):
                    tree.remove(path)
            self._render(tree, place)
            return str(place.parent)

        return self._commit(remove, f"Withdraw result {result.id}: {_in_short(result)}\n\n{publication.link}")

    def _found(self, tree: Tree, result: Result) -> PurePosixPath | None:
        """Where the file of a result is, if it is there. What is withdrawn may be no more in the lab than its hash."""
        for place in _places(result):
            data = tree.read(str(place))
            if data is not None and hashlib.sha256(data).hexdigest() == result.sha256:
                return place
        return None

    def _render(self, tree: Tree, place: PurePosixPath) -> None:
        """Bring the tables up to date after a change at `place`."""
        shown = self._shown(tree, place)
        members = [one for one in shown if one.path.parent == place.parent]
        readme = str(place.parent / tables.README)
        if members:
            files = [(one, tree.read(str(one.path)) or b"") for one in members]
            tree.write(readme, tables.render_folder(files))
        else:
            tree.remove(readme)
        tree.write(tables.README, tables.render_index(tree.read(tables.README), shown))

    def _shown(self, tree: Tree, place: PurePosixPath) -> list[tables.Shown]:
        """The results that are there, those of the index and of the folder of `place` with what their files say."""
        names = {path: name for text in tree.paths() if (name := read_name(path := PurePosixPath(text))) is not None}
        results = tables.index_order([tables.Shown(path, name) for path, name in names.items()])
        first = {one.path for one in results[: tables.MOST_ROWS]}
        told = {one.path for one in results if one.path in first or one.path.parent == place.parent}
        grades = self._said(tree, {path: path for path in told}, tables.read_grade, "grades")
        changes = self._said(tree, {path: tables.comparison_path(path) for path in told}, tables.read_change, "changes")
        return [
            msgspec.structs.replace(one, grade=grades.get(one.path, ""), change=changes.get(one.path, ""))
            for one in results
        ]

    def _said(
        self, tree: Tree, files: Mapping[PurePosixPath, PurePosixPath], read: Callable[[bytes], str], what: str
    ) -> dict[PurePosixPath, str]:
        """What files say, by the results they are of. It is kept by the ids of the files, which are many and large."""
        kept = self._git.folder / f"{what}.json"
        try:
            known = msgspec.json.decode(kept.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            known = {}
        blobs = {path: blob for path, file in files.items() if (blob := tree.blob(str(file))) is not None}
        if new := sorted(set(blobs.values()) - known.keys()):
            known.update((blob, read(data)) for blob, data in tree.read_blobs(new))
            kept.write_bytes(msgspec.json.encode({blob: known[blob] for blob in blobs.values()}))
        return {path: known[blob] for path, blob in blobs.items()}

    def _commit(self, change: Change, message: str) -> Receipt:
        """Make a change to the branch, on top of whatever others push meanwhile."""
        try:
            with self._git.alone():
                return self._mended(change, message)
        except GitFailed as exc:
            raise trouble(exc) from exc
        except Busy as exc:
            raise TryLater(str(exc)) from exc
        except OSError as exc:
            raise TryLater(f"{exc.strerror or exc}: {exc.filename or self._git.folder}") from exc

    def _mended(self, change: Change, message: str) -> Receipt:
        try:
            return self._pushed(change, message)
        except GitFailed as exc:
            if not exc.is_damage:
                raise
        self._git.forget()
        return self._pushed(change, message)

    def _pushed(self, change: Change, message: str) -> Receipt:
        for attempt in range(_PUSHES):
            # Whoever lost the race waits for as long as no other does.
            self._git.pause(random.SystemRandom().uniform(0.0, 0.1 * 2**attempt) if attempt else 0.0)
            base = self._branch.fetch()
            tree = Tree(self._git, base, self._settings.folder)
            place = change(tree)
            if place is None:
                return Receipt("it is not there")
            name, _, mail = self._settings.author.rpartition(" <")
            commit = tree.commit(message, name=name, email=mail.removesuffix(">"))
            if commit is None:
                return Receipt(f"it is there, {self._settings.branch} at {(base or '')[:10]}", self._link(place))
            if self._branch.push(commit):
                self._git.tidy()
                return Receipt(f"commit {commit[:10]} on {self._settings.branch}", self._link(place))
        raise TryLater(f"others have pushed to {self._settings.branch} each time before it could be: {_PUSHES} times")

    def _link(self, place: str) -> str | None:
        hosted = _HOSTED.fullmatch(self._settings.url)
        path = "/".join(part for part in (self._settings.folder, place) if part)
        return f"https://github.com/{hosted[1]}/tree/{self._settings.branch}/{path}" if hosted else None


def _places(result: Result) -> Iterator[PurePosixPath]:
    """Where the file of a result may be, as others may have files of that name."""
    return (other_place(plain_path(str(result.path)), number) for number in range(1, _MOST_RERUNS + 1))


def _free_place(tree: Tree, result: Result) -> PurePosixPath:
    place = next((place for place in _places(result) if tree.blob(str(place)) is None), None)
    if place is None:
        raise Refused(f"there are {_MOST_RERUNS} files named {result.path}: move some away")
    return place


def _in_short(result: Result) -> str:
    words = (result.branch or "", (result.commit or result.version or "")[:10], *result.flags, "on", result.host)
    return "".join(char for char in " ".join(filter(None, words)) if char.isprintable())[:200]
