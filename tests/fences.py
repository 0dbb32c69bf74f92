"""What stands between an answer's marks, without the number that is drawn anew each time."""

import re

NUMBER = re.compile(r"(?<= )[0-9a-f]{8}(?=-----$)", re.MULTILINE)


def unnumbered(text: str) -> str:
    """Return an answer's text as it is whatever number was drawn."""
    return NUMBER.sub("…", text)


MARKED = re.compile(
    r"^-----BEGIN UNTRUSTED [A-Z ]+ ([0-9a-f]{8})-----\n(.*)\n-----END UNTRUSTED [A-Z ]+ \1-----$", re.S | re.M
)


def parted(text: str) -> tuple[str, str, str]:
    """Return what stands before a text's only fence, in it and behind it."""
    found = MARKED.search(text)
    assert found is not None and text.count(found[1]) == 2
    return text[: found.start()], found[2], text[found.end() :]
