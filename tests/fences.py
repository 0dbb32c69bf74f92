"""What stands between an answer's marks, without the number that is drawn anew each time."""

import re

NUMBER = re.compile(r"(?<= )[0-9a-f]{8}(?=-----$)", re.MULTILINE)


def unnumbered(text: str) -> str:
    """Return an answer's text as it is whatever number was drawn."""
    return NUMBER.sub("…", text)
