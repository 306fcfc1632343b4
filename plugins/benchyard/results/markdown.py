"""Results and comparisons as GitHub-flavoured Markdown, for pull requests and repositories.

Names, reasons and all else that comes from outside stands in code spans, where nothing is markup, a link or a mention.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import msgspec

from benchyard.results.compare import Change, Comparison, summarize
from benchyard.results.reading import Suite
from benchyard.results.text import change_text, counts_text, summary_text

# What can stand between backticks, in a table as well.
_PLAIN = re.compile(r"[A-Za-z0-9_.,:;=+/%()@#~*'\" -]+", re.ASCII)
_HOSTED = re.compile(r"https://github\.com/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)

# Digits of a commit that are shown, characters of a name, names in a list.
_DIGITS, _LONGEST, _MOST = 10, 120, 30


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told of a result besides its values; what is empty is not known.

    `link` is an address where there is more of the result `title`, `repository` that of the commit's, `suite` is what
    was measured, `failed` what gave no value.
    """

    title: str = ""
    link: str = ""
    repository: str = ""
    commit: str = ""
    ref: str = ""
    patch: str = ""
    version: str = ""
    flags: tuple[str, ...] = ()
    host: str = ""
    grade: str = ""
    reasons: tuple[str, ...] = ()
    suite: str = ""
    failed: tuple[str, ...] = ()


def comparison_markdown(comparison: Comparison, *, base: Described, head: Described, limit: int | None = None) -> str:
    """A comparison: the geometric mean, what was compared, and a line for each benchmark.

    Changes to be believed come first, the worst before all others. It has at most `limit` bytes, and says what is cut.
    """
    rows = [(label, tell(base), tell(head)) for label, tell in _FACTS]
    lines = [headline(comparison, bold=True), ""]
    if comparison.differences:
        lines += [f"Different besides the interpreter: {_names(comparison.differences)}", ""]
    lines += _table(("", "base", "head"), "-", [row for row in rows if row[1] or row[2]])
    for title, names in (
        ("Only in base", comparison.missing),
        ("Only in head", comparison.new),
        ("Measured in different units", comparison.incomparable),
    ):
        lines += ["", f"{title}: {_names(names)}"] if names else []
    if comparison.benchmarks:
        changes = sorted(comparison.benchmarks, key=_order)
        cells = [(code(c.name), summary_text(c.base), summary_text(c.head), change_text(c)) for c in changes]
        lines += ["", *_table(("benchmark", "base", "head", "change"), "-:::", cells)]
    return _cut(lines, limit, head.link)


def result_markdown(suite: Suite, described: Described, *, limit: int | None = None) -> str:
    """A result that is compared with nothing: what was measured, and the mean of each benchmark."""
    lines = description_lines(described)
    names = sorted(suite.benchmarks)
    cells = [(code(name), summary_text(summarize(suite.benchmarks[name]))) for name in names]
    lines += ["", *_table(("benchmark", "mean"), "-:", cells)]
    return _cut(lines, limit, described.link)


def description_lines(described: Described) -> list[str]:
    """What was measured, as the lines of a list."""
    return [f"- {label}: {said}" for label, tell in _FACTS if (said := tell(described))]


def headline(comparison: Comparison, *, bold: bool = False) -> str:
    """A comparison in one line: the geometric mean, and how many benchmarks are better, worse, or neither."""
    overall = comparison.geometric_mean
    if overall is None:
        if comparison.benchmarks:
            return "Not to be compared: more differs than the interpreter"
        return "Nothing to compare: the results have no benchmark in common"
    mean = f"**{overall.change}**" if bold else overall.change
    of = f"{overall.n} of {overall.of}" if overall.n != overall.of else f"{overall.n}"
    return f"{mean}, geometric mean of {of} benchmarks: {counts_text(comparison)}"


def code(text: str) -> str:
    """Text from outside in a code span, in one line and of bounded length; it is markup in no place."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(line) > _LONGEST:
        line = line[: _LONGEST - 3] + "..."
    if not line:
        return ""
    if _PLAIN.fullmatch(line):
        return f"`{line}`"
    # Between tags entities are decoded, and nothing else is looked at once all that could be markup is one.
    return f"<code>{''.join(c if c.isascii() and c.isalnum() else f'&#{ord(c)};' for c in line)}</code>"


def link(text: str, address: str) -> str:
    """A link to an address of ours; `text` is Markdown."""
    return f"[{text}]({quote(address, safe=':/?=&%+,~@#')})" if address else text


def commit_markdown(described: Described) -> str:
    """The commit of a result, linked to where it can be read."""
    shown = code(described.commit[:_DIGITS])
    repository = described.repository.removesuffix(".git").rstrip("/")
    if not _COMMIT.fullmatch(described.commit) or not _HOSTED.fullmatch(repository):
        return shown
    return link(shown, f"{repository}/commit/{described.commit}")


def _grade(described: Described) -> str:
    reasons = "; ".join(code(reason) for reason in described.reasons[:_MOST])
    return f"{code(described.grade)}{f': {reasons}' if reasons else ''}" if described.grade else ""


_FACTS: tuple[tuple[str, Callable[[Described], str]], ...] = (
    ("result", lambda one: link(code(one.title), one.link) if one.title else ""),
    ("commit", commit_markdown),
    ("ref", lambda one: code(one.ref)),
    ("patch", lambda one: code(one.patch[:_DIGITS])),
    ("version", lambda one: code(one.version)),
    ("flags", lambda one: ", ".join(map(code, one.flags[:_MOST]))),
    ("host", lambda one: code(one.host)),
    ("grade", _grade),
    ("suite", lambda one: code(one.suite)),
    ("failed", lambda one: _names(one.failed) if one.failed else ""),
)


def _order(change: Change) -> tuple[bool, float, str]:
    return (False, change.ratio, change.name) if change.is_believed else (True, 0.0, change.name)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(code, names[:_MOST]))
    return shown + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")


def _table(titles: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; `sides` has for each column `-` or, to align it at the right, `:`."""
    for row in (titles, ["---:" if side == ":" else "---" for side in sides.ljust(len(titles), "-")], *rows):
        yield f"| {' | '.join(row)} |"


def _cut(lines: Sequence[str], limit: int | None, address: str) -> str:
    """The lines that fit, whole; and how many do not, where there are any."""
    text = "\n".join(lines) + "\n"
    if limit is None or len(text.encode()) <= limit:
        return text
    more = f"; {link('all of it', address)}" if address else ""
    room = limit - len(f"\n{len(lines)} more lines do not fit here{more}\n".encode())
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    left = sum(map(bool, lines[len(kept) :]))
    text = "\n".join(kept).rstrip()
    return f"{text}\n\n{left} more lines do not fit here{more}\n"
