"""What patterns have in common that say how texts from outside must be."""

#: The end of a pattern for all of a text: `$` alone lets a newline follow, and `\Z` means nothing to clients.
END = r"$(?!\n)"

#: No control characters: such texts are shown on terminals and pages, and written into logs.
PRINTABLE = rf"^[^\x00-\x1f\x7f]*{END}"
