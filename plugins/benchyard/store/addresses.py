"""Mail addresses that every server takes: in ASCII, of one line, with a dot in the domain."""

import re

_ADDRESS = r"[!#$%&'*+/=?^_`{|}~.0-9A-Za-z-]{1,64}@[0-9A-Za-z-]{1,63}(\.[0-9A-Za-z-]{1,63}){1,8}"
_PLAIN = re.compile(_ADDRESS)
_NAMED = re.compile(rf"[0-9A-Za-z_.' -]{{1,100}} <{_ADDRESS}>")

#: Characters of an address, by RFC 5321.
LONGEST = 254


def is_address(text: str, *, named: bool = False) -> bool:
    """Whether a text is a mail address; with `named`, it may be `Ada <ada@example.org>` too."""
    fits = _PLAIN.fullmatch(text) is not None or (named and _NAMED.fullmatch(text) is not None)
    return len(text) <= LONGEST and fits
