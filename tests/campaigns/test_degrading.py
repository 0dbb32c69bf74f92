"""Redis, the embedder, the worker and the models are killed in turn under load: answers keep coming, each says what it works
without, and whatever comes back is used again without a restart."""

import asyncio
import json
import random
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from campaign_client import Server
from campaign_load import LONGEST, PATIENCE, QUERY, Answer, Load, silent, untrue
from campaign_standins import NOTED, NOTED_INSTEAD

import indexes
import valkeys
from crm_mcp import auth
from crm_mcp.config import quiet_environment
from crm_mcp.crm import searching
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.runs import names, opening
from crm_mcp.search import models
from crm_mcp.search.indexer import catch_up
from homes import load_demo, temporary_home

ADA, MODEL = "ada@demo.example", "openai:stand-in"
CLIENTS = 3
SHORT_LATE = 5
"""Seconds that the index may lag in the short form before an answer says so; in the long form, those of the product."""
SEARCH: tuple[str, dict[str, Any]] = ("search_documents", {"query": QUERY})
AWAY = {"memory": ("working memory", "whoami"), "embedder": ("embedder", "search_documents")}
"""By what a part that is away is called in answers, and the tool whose every answer lacks it."""


@pytest.fixture(scope="module")
def home(loaded: Home | None) -> Generator[Home]:
    """A home of its own: another model goes live in it."""
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        yield made


class Part:
    """A process that stays at its port while it is killed and started again; it ends with this one."""

    def __init__(self, *words: str, port: int = 0, environment: dict[str, str] | None = None) -> None:
        self.port, self._words, self._environment = port, words, environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *self._words, *more],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )

    def hear(self, word: str) -> None:
        """Wait until it says a line."""
        assert self._process is not None
        assert select.select([self._process.stdout], [], [], PATIENCE)[0], f"it does not say {word}"
        assert self._process.stdout.readline().decode().strip() == word  # type: ignore[union-attr]

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()  # type: ignore[union-attr]
            self._process.stdout.close()  # type: ignore[union-attr]
            self._process = None


def standin(name: str) -> Part:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Part(str(Path(__file__).with_name("campaign_standins.py")), name, str(port), port=port)


class Scene:
    """Everything the product works with, each in a process of its own, and the load on it."""

    def __init__(self, home: Home, desk: Any, folder: Path, late: int, stack: ExitStack) -> None:
        self.home, self.desk, self.late = home, desk, late
        self.valkey = stack.enter_context(valkeys.running())
        self.embedder, self.model, self.fallback = standin("embedder"), standin("model"), standin("fallback")
        self.environment = quiet_environment(home.root) | {
            "CRM_REDIS_URL": self.valkey.url(),
            "CRM_EMBEDDER_URL": f"http://127.0.0.1:{self.embedder.port}/v1",
            "CRM_AGENTS": str(self._plan(folder)),
            "CRM_ANTHROPIC_KEY": "a-key",
        }
        self.worker = Part("-P", "-m", "crm_mcp", "worker", environment=self.environment)
        for part in (self.embedder, self.model, self.fallback, self.worker):
            stack.callback(part.kill)
        self.embedder.start()
        self.embedder.hear("ready")
        self.crm("worker", "--once")
        self.crm("search", "models", "add", MODEL)
        self.crm("search", "models", "switch", MODEL)
        self.worker.start()
        self.servers = [stack.enter_context(self.server()) for _ in range(CLIENTS)]
        self.load = Load(self.servers, desk.customers, desk.order)

    def server(self) -> Server:
        late = f"searching.LATE = timedelta(seconds={self.late})"
        first = f"from datetime import timedelta; from crm_mcp.crm import searching; {late}"
        return Server(self.home, None, "--toolsets", "all", user=ADA, first=first, more=self.environment)

    def _plan(self, folder: Path) -> Path:
        file = folder / "agents.yaml"
        providers = {
            "anthropic": {"base_url": f"http://127.0.0.1:{self.model.port}", "retries": 0},
            "openai-compatible": {"base_url": f"http://127.0.0.1:{self.fallback.port}/v1", "retries": 0},
        }
        file.write_text(json.dumps({"providers": providers, "use_cases": {"customer": {"max_output_tokens": 300}}}))
        return file

    def crm(self, *words: str) -> None:
        command = [sys.executable, "-P", "-m", "crm_mcp", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr

    def lacking(self, name: str, take: Callable[[], None], give: Callable[[], None]) -> None:
        """Take a part away that answers need, and give it back."""
        part, tool = AWAY[name]
        take()
        moment = time.monotonic()
        self.load.until(f"{part} said", tool, lambda one: part in one.away, rounds=3)
        missed = silent(self.load.since(moment), part, tool)
        assert missed == [], missed[:3]
        give()
        self.load.until(f"{part} back", tool, lambda one: part not in one.away, rounds=2)

    def without_worker(self) -> None:
        """Kill the worker, and start another: searches say how far behind they are, and are not behind any more."""
        part = searching.PART
        self.worker.kill()
        self.load.until("the lag said", "search_documents", lambda one: part in one.away, rounds=3)
        self.worker.start()
        self.load.until("the index followed", "search_documents", lambda one: part not in one.away, rounds=2)

    def without_anything(self) -> None:
        """Kill all that answers need but Postgres, and start a server then: it answers, and later uses what is back."""
        parts = ("working memory", "embedder")
        for part in (self.valkey, self.embedder, self.worker):
            part.kill()
        with self.server() as newcomer:
            told = self.called(newcomer, "whoami"), self.called(newcomer, SEARCH[0], **SEARCH[1])
            assert [part in one.away for part, one in zip(parts, told, strict=True)] == [True, True], told
            self.load.until("all of it said", "search_documents", lambda one: one.away.keys() >= {*parts})
            self.valkey.start_again()
            self.embedder.start()
            self.embedder.hear("ready")
            self.worker.start()
            self.load.until("all of it back", "search_documents", lambda one: not one.away)
            deadline = time.monotonic() + PATIENCE
            while self.called(newcomer, SEARCH[0], **SEARCH[1]).away or self.called(newcomer, "whoami").away:
                assert time.monotonic() < deadline, "a server that began without it does not use what is back"
                time.sleep(0.1)

    def called(self, server: Server, tool: str, **arguments: Any) -> Answer:
        began = time.monotonic()
        body = server.call(tool, arguments)
        assert body is not None and body["type"] == "result", body
        return Answer(-1, tool, began, time.monotonic(), body)

    def worker_goes_on(self) -> None:
        """Stop the embedder while something remembered needs a vector: the worker's rounds go on."""
        text = f"Prefers to be told by {uuid.uuid4().hex[:6]}."
        self.embedder.signal(signal.SIGSTOP)
        with self.server() as client:
            self.called(client, "save_preference", text=text, reason="a campaign")
        mark, moment = self.home.root / "worker.round", time.time()
        for _ in range(3):  # in the first two it may not have asked for the vector yet
            deadline = time.monotonic() + PATIENCE
            while not mark.exists() or mark.stat().st_mtime <= moment:
                assert time.monotonic() < deadline, "the worker's rounds wait for the embedder"
                time.sleep(0.1)
            moment = mark.stat().st_mtime
        self.embedder.signal(signal.SIGCONT)

    def asked(self, *words: str) -> tuple[subprocess.Popen[str], str]:
        """Ask an agent for a note, and kill the model when it has been written; return the process and the note."""
        text = "".join(chr(ord("a") + int(sign, 16)) for sign in uuid.uuid4().hex)
        request = f"Write down on cust_{self.desk.customers[0]}: {text}"
        self.model.start("hold")
        self.model.hear("ready")
        command = [
            sys.executable,
            "-P",
            "-m",
            "crm_mcp",
            "agents",
            "run",
            request,
            "--as",
            ADA,
            "--agent",
            "customer",
            *words,
        ]
        running = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.model.hear("holding")
        self.model.kill()
        return running, text

    def with_fallback(self) -> None:
        """Kill the model amid a run: the other one ends it, and the run says so."""
        self.fallback.start()
        self.fallback.hear("ready")
        running, text = self.asked("--json")
        printed, errors = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0, errors
        ended = json.loads(printed.splitlines()[-1])
        assert (ended["end"], ended["text"]) == ("done", NOTED_INSTEAD)
        assert ended["run"].startswith("run_")
        assert any(said.startswith("model of customer: ") for said in ended["degraded"]), ended
        assert self.written(text) == 1
        self.fallback.kill()

    def without_models(self) -> None:
        """Kill both models amid a run: it ends in order, and is resumed where it was once one is back."""
        running, text = self.asked()
        printed, errors = running.communicate(timeout=PATIENCE)
        assert (running.returncode, "model_away" in errors) == (3, True), errors
        run = names.parse(printed.splitlines()[0])
        assert f"agents runs resume {names.show(run)}" in errors
        self.model.start()
        self.model.hear("ready")
        shown = asyncio.run(self._resumed(run))
        assert (shown["state"], shown.get("result")) == ("finished", NOTED), shown
        assert self.written(text) == 1
        self.model.kill()

    async def _resumed(self, run: int) -> dict[str, Any]:
        db = Database(self.home.conninfo("crm_agent"))
        try:
            who = await db.sign_in(auth.by_email(ADA))
            assert (await opening.run(db, who, run))["state"] == "failed"
            await opening.resume(db, who, run)
            async with asyncio.timeout(PATIENCE):
                while (shown := await opening.run(db, who, run))["state"] in ("queued", "running"):
                    await asyncio.sleep(0.05)
                return shown
        finally:
            await db.close()

    def written(self, text: str) -> int:
        return self.desk.owner.execute("select count(*) from crm.notes where body = %s", (text,)).fetchone()[0]

    def settled(self) -> None:
        """Wait until the worker has put everything into the index, and has made every vector of the model."""
        deadline = time.monotonic() + PATIENCE
        with psycopg.connect(self.home.conninfo("crm_owner"), autocommit=True) as conn:
            while models.built(conn, models.named(conn, MODEL)).lacking or self._behind():
                assert time.monotonic() < deadline, "the worker does not follow"
                time.sleep(0.1)

    def _behind(self) -> int:
        return self.called(self.servers[0], SEARCH[0], **SEARCH[1]).body["_meta"]["index"]["behind"]

    def differing(self) -> tuple[list[Any], list[Any]]:
        """Return what only the index has, and what only one made from scratch; the worker must not run."""
        owner, org = self.desk.owner, self.desk.org
        kept = indexes.rows(owner, org)
        indexes.forget(owner, org)

        async def build() -> None:
            db = Database(self.home.conninfo("crm_worker"))
            try:
                await catch_up(db, org)
            finally:
                await db.close()

        asyncio.run(build())
        fresh = indexes.rows(owner, org)
        return [row for row in kept if row not in fresh], [row for row in fresh if row not in kept]

    def duplicates(self) -> list[tuple[str, set[str], int]]:
        """Return the drafts that are not there exactly once, under one id."""
        many = "select count(*) from crm.drafts where org_id = %s and tool = 'create_order_draft' and args like %s"
        found: list[tuple[str, set[str], int]] = []
        for mark, told in self.load.drafts.items():
            count = self.desk.owner.execute(many, (self.desk.org, f'%"{mark}"%')).fetchone()[0]
            if (len(told), count) != (1, 1):
                found.append((mark, told, count))
        return found


def test_the_oracles_see_an_answer_that_says_nothing_of_what_it_lacks():
    def answer(tool: str, at: float, *away: str, **meta: Any) -> Answer:
        said = {"degraded": dict.fromkeys(away, "…")} if away else {}
        return Answer(0, tool, at, at, {"type": "result", "_meta": said | meta})

    unnoticed, wrong = answer("get_customer", 1), answer("whoami", 2)
    noticed, later = answer("whoami", 3, "working memory"), answer("get_customer", 4)
    assert silent([unnoticed, noticed], "working memory", "whoami") == []
    assert silent([unnoticed, wrong, noticed, later], "working memory", "whoami") == [wrong, later]

    def search(at: float, compared: str, lag: int, *away: str) -> Answer:
        return answer("search_documents", at, *away, compared=compared, index={"lagSeconds": lag})

    true = [search(1, "words alone", 0, "embedder"), search(2, "words and meaning", 9, "search index")]
    lies = [
        search(3, "words alone", 0),
        search(4, "words and meaning", 9),
        search(5, "words and meaning", 0, "embedder"),
    ]
    assert untrue([*true, *lies], 5) == lies


def test_whatever_is_away_answers_go_on_say_so_and_lose_nothing(home, desk, tmp_path, is_long):
    late = int(searching.LATE.total_seconds()) if is_long else SHORT_LATE
    with ExitStack() as stack:
        scene = Scene(home, desk, tmp_path, late, stack)
        valkey, embedder, load = scene.valkey, scene.embedder, scene.load

        def stop(part: Any) -> tuple[Callable[[], None], Callable[[], None]]:
            return lambda: part.signal(signal.SIGSTOP), lambda: part.signal(signal.SIGCONT)

        def embedder_again() -> None:
            embedder.start()
            embedder.hear("ready")

        outages: dict[str, Callable[[], None]] = {
            "Redis killed": lambda: scene.lacking("memory", valkey.kill, valkey.start_again),
            "Redis stopped": lambda: scene.lacking("memory", *stop(valkey)),
            "the embedder killed": lambda: scene.lacking("embedder", embedder.kill, embedder_again),
            "the worker killed": scene.without_worker,
            "the model killed": scene.with_fallback,
            "both models killed": scene.without_models,
            "everything killed": scene.without_anything,
        }
        rounds = [list(outages)]
        if is_long:
            outages["the embedder stopped"] = lambda: scene.lacking("embedder", *stop(embedder))
            outages["the embedder stopped beside the worker"] = scene.worker_goes_on
            chance = random.Random(11)
            rounds = [chance.sample(list(outages), len(outages)) for _ in range(5)]
        with load:
            load.until("served", "search_documents", lambda one: not one.away)
            for outage in (outage for names in rounds for outage in names):
                began = time.monotonic()
                outages[outage]()
                during = load.since(began)
                slowest = max(one.ended - one.began for one in during)
                assert slowest < LONGEST, (outage, slowest)
                print(
                    f"{outage}: {len(during)} answers, the slowest {slowest:.2f} s, over after {time.monotonic() - began:.1f} s"
                )
            load.until("nothing away", "search_documents", lambda one: not one.away)
        assert load.problems == []
        assert untrue(load.answers, late) == []
        assert {part for one in load.answers for part in one.away} == {"working memory", "embedder", "search index"}
        there = "select body from crm.notes where body like %s"
        found = [row[0] for row in desk.owner.execute(there, (f"{load.run}%",))]
        assert sorted(found) == sorted(load.notes)
        assert load.drafts and scene.duplicates() == []
        scene.settled()
        scene.worker.kill()
        assert scene.differing() == ([], [])
        print(
            f"{len(load.answers)} answers, {len(load.notes)} notes, {len(load.drafts)} drafts: none failed, none lost"
        )
