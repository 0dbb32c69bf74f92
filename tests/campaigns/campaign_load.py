"""Clients of real servers that read, note and draft all the time, and what their answers owe while a part is away."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from campaign_client import Hung, Server

PACE = 0.6
"""Seconds between two rounds of a client: load enough, and not the machine whole."""
PATIENCE = 120.0
"""Seconds for which something is waited for, on a machine that others keep busy too."""
LONGEST = 30.0
"""Seconds that an answer may take."""
QUERY = "a chair that came late"


class Answer(NamedTuple):
    """One answer of one client; `began` and `ended` by the monotonic clock."""

    client: int
    tool: str
    began: float
    ended: float
    body: dict[str, Any]

    @property
    def away(self) -> dict[str, str]:
        return self.body.get("_meta", {}).get("degraded", {})


class Load:
    """One thread a server, until it is left; `order` makes the arguments of an order that nobody else asks for."""

    def __init__(
        self, servers: Sequence[Server], customers: Sequence[int], order: Callable[[], dict[str, Any]]
    ) -> None:
        self._servers, self._customers, self._order = servers, customers, order
        self.run = uuid.uuid4().hex
        self.answers: list[Answer] = []
        self.notes, self.drafts = set[str](), dict[str, set[str]]()
        self.problems: list[str] = []
        self._over, self._news = threading.Event(), threading.Condition()
        self._threads = [threading.Thread(target=self._work, args=(at,), daemon=True) for at in range(len(servers))]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads), "a call hangs"

    def _work(self, client: int) -> None:
        try:
            for turn in itertools.count():
                for tool, arguments in self._round(client, turn):
                    self._call(client, tool, arguments)
                if self._over.wait(PACE):
                    return
        except Hung:
            self._problem(f"client {client}: a call hangs")
        except Exception as problem:
            self._problem(f"client {client}: {problem!r}")

    def _round(self, client: int, turn: int) -> Iterator[tuple[str, dict[str, Any]]]:
        customer = f"cust_{self._customers[(client + turn) % len(self._customers)]}"
        yield "whoami", {}
        yield "get_customer", {"customer": customer}
        yield "search_documents", {"query": QUERY}
        yield "add_note", {"about": customer, "body": f"{self.run} {client} {turn}", "reason": "a campaign"}
        if turn % 4 == 0:
            ordered = {**self._order(), "comment": f"{self.run} {client} {turn}"}
            yield "create_order_draft", ordered
            yield "create_order_draft", ordered
            yield "list_drafts", {}

    def _call(self, client: int, tool: str, arguments: dict[str, Any]) -> None:
        began = time.monotonic()
        body = self._servers[client].call(tool, arguments)
        ended = time.monotonic()
        if body is None:
            raise ConnectionError("serve died")
        if body["type"] != ("approval_required" if tool == "create_order_draft" else "result"):
            self._problem(f"{tool} failed: {body}")
        elif tool == "add_note":
            self.notes.add(arguments["body"])
        elif tool == "create_order_draft":
            self.drafts.setdefault(arguments["comment"], set()).add(body["draft"]["id"])
        with self._news:
            self.answers.append(Answer(client, tool, began, ended, body))
            self._news.notify_all()

    def _problem(self, said: str) -> None:
        with self._news:
            self.problems.append(said)
            self._news.notify_all()

    def since(self, moment: float, tool: str | None = None) -> list[Answer]:
        """Return answers to what was asked after a moment."""
        return [one for one in self.answers if one.began >= moment and tool in (None, one.tool)]

    def until(self, what: str, tool: str, suits: Callable[[Answer], bool], rounds: int = 1) -> None:
        """Wait until every client had so many more answers of a tool that suit."""
        moment = time.monotonic()

        def is_so() -> bool:
            there = [one.client for one in self.since(moment, tool) if suits(one)]
            return bool(self.problems) or all(there.count(client) >= rounds for client in range(len(self._servers)))

        with self._news:
            came = self._news.wait_for(is_so, PATIENCE)
        assert not self.problems, self.problems
        assert came, f"not {what}: {[(one.tool, one.away) for one in self.answers[-9:]]}"


def silent(answers: Iterable[Answer], part: str, tool: str) -> list[Answer]:
    """Return the answers, given while a part is away, that lack it and do not say so.

    Each of `tool` lacks it; each of whatever tool says so once its server has noticed.
    """
    found, noticed = list[Answer](), set[int]()
    for one in sorted(answers, key=lambda one: one.began):
        if part in one.away:
            noticed.add(one.client)
        elif one.tool == tool or one.client in noticed:
            found.append(one)
    return found


def untrue(answers: Iterable[Answer], late: float) -> list[Answer]:
    """Return the searches that say another thing of how they were found than of what is away."""
    found: list[Answer] = []
    for one in answers:
        if one.tool != "search_documents" or one.body["type"] != "result":
            continue
        meta = one.body["_meta"]
        lag, is_said = meta["index"]["lagSeconds"], "search index" in one.away
        is_late = lag > late or meta["index"].get("isBuilt") is False
        if (meta["compared"] == "words alone") != ("embedder" in one.away) or (is_late != is_said and lag != late):
            found.append(one)
    return found
