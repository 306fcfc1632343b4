"""What `ansible-playbook` prints, read while it does: where it is, what has failed, and how much was changed."""

import json
import re
from typing import Any

from benchyard.steps.progress import TailObserver

_TASK = re.compile(r"(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \*+")
#: A task that failed, or one item of its loop: for that Ansible says no `fatal`.
_FAILED = re.compile(
    r"(?:fatal: \[[^\]]*\]: (?P<what>[A-Z]+)!?|failed: \[[^\]]*\] \(item=.*?\)(?= => \{)) => (?P<result>.*)"
)
_RECAP = re.compile(r"\S+\s+: ok=(?P<ok>\d+)\s+changed=(?P<changed>\d+)\s.*")

#: How an error begins that says that a host was not reached.
_UNREACHABLE = "unreachable: "

#: Tasks that only look: Ansible's own first one, and ours that waits for what is under way on the host.
_LOOKING = (
    "Gathering Facts",
    "common : Nothing is measured or prepared on the host",
    "common : It is not waited for any longer",
    "common : The host is not free",
)

#: Characters of an error that is told in one line.
_LONGEST = 400


class PlaybookObserver(TailObserver):
    """Keeps the task that is under way, the first task that failed with its error, and the last recap."""

    def __init__(self) -> None:
        super().__init__()
        self.task = ""
        self.failure: str | None = None
        self._counts: tuple[int, int] | None = None

    def outLineReceived(self, line: str) -> None:
        super().outLineReceived(line)
        if match := _TASK.fullmatch(line.strip()):
            self.task = match["name"]
        elif match := _FAILED.match(line):
            # The last one that was not rescued or ignored is what has ended it.
            self.failure = _in_words(match["what"], self.task, match["result"])
        elif line.strip() == "...ignoring":
            self.failure = None
        elif match := _RECAP.fullmatch(line.strip()):
            self._counts = (int(match["changed"]), int(match["ok"]))

    @property
    def untouched(self) -> bool:
        """Whether nothing was done on the host: it was never reached, or not as root, or was not free."""
        if self._counts is None or self._counts[0]:
            return False
        unreachable = self.failure is not None and self.failure.startswith(_UNREACHABLE)
        return self.task in _LOOKING or (unreachable and self._counts[1] == 0)

    def summary(self, *, dry: bool) -> str:
        """How much was changed, in a few words."""
        if self._counts is None:
            return "no task was for this host"
        changed, ok = self._counts
        would = "would change" if dry else "changed"
        return (
            f"{ok} tasks, nothing {'would change' if dry else 'changed'}"
            if not changed
            else f"{ok} tasks, {changed} {would}"
        )


def why_failed(observer: PlaybookObserver, status: int) -> str:
    """Why a playbook has failed, in one line."""
    if observer.failure is not None:
        return observer.failure
    said = observer.last_error or observer.last_line
    return said[:_LONGEST] if said else f"ansible-playbook ended with exit status {status}; see the log"


def _in_words(what: str, task: str, text: str) -> str:
    try:
        result: Any = json.loads(text)
    except ValueError:
        result = {}
    message = result.get("msg") if isinstance(result, dict) else None
    details = (result.get("stderr") or result.get("module_stderr")) if isinstance(result, dict) else None
    said = " ".join(str(part) for part in (message, details) if part) or text
    said = " ".join(said.split()).removeprefix("Task failed: ")[:_LONGEST]
    return f"{_UNREACHABLE}{said}" if what == "UNREACHABLE" else f"{task}: {said}"
