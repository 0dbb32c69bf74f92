"""A search for duplicates in a process of its own, whose memory and processor time no other call of the server pays.

The parent writes lines of rows (JSON arrays) and closes; the child writes lines of how far it is, then what it found.
Killing it ends it at once; where the parent dies, its next line finds no reader.
"""

import asyncio
import contextlib
import gc
import json
import subprocess
import sys
import threading
from typing import IO, Any

from .duplicate_search import Duplicates, Group, Progress, Search

_TOLD_EVERY = 2000
"""Records between two lines of progress."""


class SearchFailed(Exception):
    """The process of a search ended without an answer."""


class Apart:
    """The process, from its start to its answer."""

    def __init__(self, least: float, progress: Progress) -> None:
        self._progress = progress
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(least)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    async def add(self, rows: str) -> None:
        """Hand on a batch of rows, one line of JSON, without reading it."""
        await asyncio.to_thread(self._write, rows.encode() + b"\n")

    async def found(self) -> Duplicates:
        """Return what the process found.

        Raises:
            SearchFailed: it ended before.
        """
        return await asyncio.to_thread(self._answer)

    def end(self) -> None:
        """End the process, whether or not it has answered."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            threading.Thread(target=_closed, args=(pipe,), daemon=True).start()
        self._process.wait()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)

    def _answer(self) -> Duplicates:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            if "done" in said:
                self._progress(said["done"], said["of"])
                continue
            groups = tuple(_heard(process.stdout.readline()) for _ in range(said["groups"]))
            return Duplicates(groups, said["read"], said["left_out"])
        raise SearchFailed


def _closed(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()


def _heard(line: bytes) -> Group:
    score, sure, ids = json.loads(line[: line.index(b"\t")])
    return Group(score, sure, tuple(ids), line[line.index(b"\t") + 1 : -1])


def main(incoming: IO[bytes], outgoing: IO[bytes], least: float) -> None:
    """Answer one search: rows in, progress and groups out."""
    search = Search()
    for line in incoming:
        search.add(json.loads(line))

    def say(said: object) -> None:
        outgoing.write(json.dumps(said).encode() + b"\n")
        outgoing.flush()

    def tell(done: int, of: int) -> None:
        if done % _TOLD_EVERY == 0:
            say({"done": done, "of": of})

    found = search.found(least, tell)
    say({"groups": len(found.groups), "read": found.read, "left_out": found.left_out})
    for group in found.groups:
        outgoing.write(json.dumps([group.score, group.sure, group.ids]).encode() + b"\t" + group.told + b"\n")
    outgoing.flush()


if __name__ == "__main__":
    gc.disable()  # records hold no cycles to be looked for among millions of texts
    main(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]))
