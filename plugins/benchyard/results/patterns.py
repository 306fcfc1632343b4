"""What patterns have in common that say how texts from outside must be."""

#: The end of a pattern for all of a text: `$` alone lets a newline follow, and `\Z` means nothing to clients.
END = r"$(?!\n)"

#: No control characters, and none that turn the way of writing about: such texts are shown on terminals and pages, and
#: written into logs.
PRINTABLE = rf"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*{END}"


def printable(text: str) -> str:
    """A text for people, with a mark in the place of whatever cannot be shown."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
