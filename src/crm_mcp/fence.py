"""Marks between which stands what others wrote: drawn once the text is known, so that nothing in it can be one."""

import os

BEGIN, END = "-----BEGIN UNTRUSTED", "-----END UNTRUSTED"
_TAIL = "-----"
_BYTES = 4


def fenced(text: str, what: str = "DATA") -> str:
    """Return a text between two lines that name a random number which does not occur in it."""
    number = os.urandom(_BYTES).hex()
    while number in text:
        number = os.urandom(_BYTES).hex()
    return f"{BEGIN} {what} {number}{_TAIL}\n{text}\n{END} {what} {number}{_TAIL}"
