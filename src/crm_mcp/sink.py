"""The heads of the audit, kept outside the database: without one there, nobody could tell that its end was cut off."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Head = tuple[int, str]
"""The number and the hash of the last sealed row; (0, "") where nothing was sealed."""
NONE: Head = (0, "")


class Sink:
    """A file to which heads are added, one JSON object a line; the last one of an org counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[int, Head] = {}

    def keep(self, org: int, head: Head, **more: object) -> bool:
        """Have a committed head in the file and on the disk; False where it was the last one already.

        Raises:
            OSError: it could not be written.
        """
        if org not in self._known:
            self._known[org] = last_head(self.path, org)
        if head in (NONE, self._known[org]) and not more:
            return False
        line = {"at": datetime.now(UTC).isoformat(), "org": org, "seq": head[0], "head": head[1], **more}
        with self.path.open("ab+") as file:
            # whoever was killed while writing left a part of a line
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
                file.write(b"\n")
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._known[org] = head
        return True


def last_head(path: Path | None, org: int) -> Head:
    """Return the head of an org that was kept last.

    Raises:
        OSError: the file is there and cannot be read.
    """
    if path is None or not path.exists():
        return NONE
    found = NONE
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line: dict[str, Any] = json.loads(text)
            if line["org"] == org:
                found = (int(line["seq"]), str(line["head"]))
        except (ValueError, KeyError, TypeError):
            continue  # a part of a line
    return found
