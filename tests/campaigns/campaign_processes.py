"""What runs in processes of its own: racers that stay, and victims that kill themselves at a named point."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from campaign_drafts import APPROVER, SELLER
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_mcp import auth, changes, log
from crm_mcp.approvals import deciding, evidence
from crm_mcp.approvals.executor import Executor
from crm_mcp.db import Database
from crm_mcp.errors import Refusal, refusal_for
from crm_mcp.pipelined import Pipelined

Job = tuple[str, int, str, int]
"""What to do, with which draft, the hash that was shown, and how often to look at the draft again before."""
Said = tuple[str, str, bool]
PATIENCE = 600
"""Seconds until a process that does not answer is taken for hung, on a machine that others keep busy too."""
COMMENT = "edited in a campaign"
BUSY_TRIES = 60
"""How often a racer does as BUSY tells it and tries again; a lock is waited for half a second."""


class Crew:
    """Processes that act at the same moment, again and again."""

    def __init__(self, processes: Any, home: Any, size: int) -> None:
        logins = {role: home.conninfo(role) for role in ("crm_approver", "crm_agent", "crm_worker", "crm_owner")}
        self.size = size
        self._barrier = processes.Barrier(size)
        self._pipes, self._members = [], []
        for _ in range(size):
            ours, theirs = processes.Pipe()
            member = processes.Process(target=_race, args=(theirs, self._barrier, logins), daemon=True)
            member.start()
            theirs.close()
            self._pipes.append(ours)
            self._members.append(member)
        for pipe in self._pipes:  # the slowest to start keeps nobody waiting at the barrier
            assert pipe.poll(PATIENCE), "a racer does not start"
            pipe.recv()

    def race(self, rounds: list[list[Job]]) -> list[list[Said]]:
        """Run rounds of at most `size` jobs each; return what each job was told."""
        for at, pipe in enumerate(self._pipes):
            pipe.send([jobs[at] if at < len(jobs) else None for jobs in rounds])
        return [[said for pipe in self._pipes if (said := self._heard(pipe)) is not None] for _ in rounds]

    def _heard(self, pipe: Any) -> Said | None:
        assert pipe.poll(PATIENCE), "a racer hangs"
        said: Said | None = pipe.recv()
        return said

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
            pipe.close()
        for member in self._members:
            member.join(15)
            if member.is_alive():
                member.kill()
                member.join()
            member.close()


def _race(pipe: Any, barrier: Any, logins: dict[str, str]) -> None:
    log.configure("error")
    with asyncio.Runner() as runner:
        racer = runner.run(_Racer.enter(logins, barrier))
        pipe.send("here")
        while (rounds := pipe.recv()) is not None:
            for job in rounds:
                barrier.wait(PATIENCE)
                pipe.send(runner.run(racer.act(*job)) if job else None)
        runner.run(racer.leave())


class _Racer:
    def __init__(self, logins: dict[str, str], barrier: Any) -> None:
        self._approver, self._agent, self._worker = (
            Database(logins[role], size=1) for role in ("crm_approver", "crm_agent", "crm_worker")
        )
        self._owner = psycopg.connect(logins["crm_owner"], autocommit=True)
        self._barrier = barrier

    @classmethod
    async def enter(cls, logins: dict[str, str], barrier: Any) -> "_Racer":
        racer = cls(logins, barrier)
        racer.ada = await racer._approver.sign_in(auth.by_email(APPROVER))
        racer.sam = await racer._agent.sign_in(auth.by_email(SELLER))
        return racer

    async def leave(self) -> None:
        self._owner.close()
        for db in (self._approver, self._agent, self._worker):
            await db.close()

    async def act(self, action: str, draft: int, seen: str, looks: int) -> Said:
        for _ in range(looks):
            await self._look(draft)
        for _ in range(BUSY_TRIES):
            try:
                return await getattr(self, f"_{action}")(draft, seen)
            except Exception as problem:
                no = refusal_for(problem)
                if no is None:
                    return action, f"crashed {problem!r}", False
                if no.error != "BUSY":
                    return action, f"refused {no.error}", False
        return action, "refused BUSY", False

    async def _look(self, draft: int) -> None:
        try:
            await Executor(self._approver).show(self.ada, draft)
        except Exception as problem:  # BUSY, while somebody decides for the same customer
            if refusal_for(problem) is None:
                raise

    async def _approve(self, draft: int, seen: str) -> Said:
        outcome = await Executor(self._approver).approve(self.ada, draft, seen)
        return "approve", outcome.state, outcome.won

    async def _reject(self, draft: int, seen: str) -> Said:
        outcome = await Executor(self._approver).reject(self.ada, draft, "a campaign")
        return "reject", outcome.state, outcome.won

    async def _discard(self, draft: int, seen: str) -> Said:
        done = await Executor(self._agent).discard(self.sam, draft)
        return ("discard", "discarded", True) if done else ("discard", "silent", False)

    async def _edit(self, draft: int, seen: str) -> Said:
        """Put another comment into what was shown; `won` is whether the edit was made, which decides nothing."""
        try:
            await Executor(self._approver).edit(self.ada, draft, 1, {"comment": COMMENT}, "a campaign")
        except Refusal as no:
            if no.error in ("DRAFT_CHANGED", "NOT_FOUND"):
                return "edit", "silent", False
            raise
        return "edit", "silent", True

    async def _expire(self, draft: int, seen: str) -> Said:
        self._owner.execute(
            "update crm.drafts set expires_at = clock_timestamp() where org_id = %s and id = %s and state = 'pending'",
            (self.ada.org, draft),
        )
        await self._worker.definer(self.ada.org, "select crm.expire_drafts()")
        return "expire", "silent", False

    async def _naive(self, draft: int, seen: str) -> Said:
        """Approve as somebody would who looks first and writes then; the whole crew looks before anybody writes."""
        row = self._owner.execute("select state from campaign.drafts where id = %s", (draft,)).fetchone()
        self._barrier.wait(PATIENCE)
        if row is None or row[0] != "pending":
            return "approve", row[0] if row else "missing", False
        self._owner.execute("insert into campaign.orders(draft) values (%s)", (draft,))
        self._owner.execute("update campaign.drafts set state = 'approved' where id = %s", (draft,))
        return "approve", "approved", True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill(processes: Any, target: Callable[..., None], *args: object) -> None:
    """Run a victim to its end, which is a kill."""
    victim = processes.Process(target=target, args=args)
    victim.start()
    victim.join(PATIENCE)
    assert victim.exitcode == -9, f"not killed: {victim.exitcode}"
    victim.close()


def arm(point: str) -> None:
    """Have this process kill itself when it reaches a named point of an approval, of an edit or of a write."""
    before: dict[str, Callable[[str], bool]] = {
        "before the decision": lambda sql: sql == deciding._APPROVE,
        "before the draft is held": lambda sql: "crm.hold(" in sql,
        "before the revision": lambda sql: "crm.revise(" in sql,
    }
    after: dict[str, Callable[[str], bool]] = {
        "locked": lambda sql: sql == deciding._LOCK,
        "item used up": lambda sql: sql == evidence._TAKE_ITEM,
        "signature kept": lambda sql: sql == evidence._SIGN_ITEM,
        "run again": lambda sql: sql == changes.READ,
        "effects recorded": lambda sql: sql == changes.READ,
        "revised": lambda sql: "crm.revise(" in sql,
        "decided, not committed": lambda sql: sql == "set constraints all immediate",
        "audited, not committed": lambda sql: "'begun'" not in sql and sql.startswith("insert into crm.audit_log"),
    }
    send, alone, opened = AsyncConnection.exec_driver_sql, Database.alone, Database.opened
    together, commit = Pipelined.together, Pipelined.commit

    def due(points: dict[str, Callable[[str], bool]], statements: Iterable[str]) -> bool:
        return point in points and any(points[point](sql) for sql in statements)

    async def sent(conn: Any, sql: str, *args: Any, **more: Any) -> Any:
        if due(before, [sql]):
            die()
        answer = await send(conn, sql, *args, **more)
        if due(after, [sql]):
            die()
        return answer

    async def sent_together(conn: Any, statements: Any) -> Any:
        if due(before, [sql for sql, _ in statements]):
            die()
        rows = await together(conn, statements)
        if due(after, [sql for sql, _ in statements]):
            die()
        return rows

    async def committed(conn: Any) -> None:
        if due(after, [sql for sql, _ in conn.waiting]):
            await together(conn, ())
            die()
        await commit(conn)

    async def recorded(db: Any, *args: Any, **more: Any) -> Any:
        if point == "before anything":
            die()
        await alone(db, *args, **more)
        if point == "begun":
            die()

    class _Opened:
        def __init__(self, *args: Any, **more: Any) -> None:
            self._inner = opened(*args, **more)

        async def __aenter__(self) -> Any:
            if point == "before anything":
                die()
            entered = await self._inner.__aenter__()
            if point == "begun":
                die()
            return entered

        async def __aexit__(self, *error: Any) -> Any:
            done = await self._inner.__aexit__(*error)
            if point == "committed, not answered":
                die()
            return done

    AsyncConnection.exec_driver_sql = sent  # type: ignore[method-assign]
    Pipelined.together = sent_together  # type: ignore[method-assign]
    Pipelined.commit = committed  # type: ignore[method-assign]
    Database.alone = recorded  # type: ignore[method-assign]
    Database.opened = lambda self, *args, **more: _Opened(self, *args, **more)  # type: ignore[method-assign]


def approve_until(point: str, conninfo: str, draft: int, seen: str) -> None:
    """Approve, and be killed on the way."""
    log.configure("error")
    asyncio.run(_approve_until(point, conninfo, draft, seen))


async def _approve_until(point: str, conninfo: str, draft: int, seen: str) -> None:
    db = Database(conninfo)
    who = await db.sign_in(auth.by_email(APPROVER))
    arm(point)
    await Executor(db).approve(who, draft, seen)


def edit_until(point: str, conninfo: str, draft: int) -> None:
    """Edit, and be killed on the way."""
    log.configure("error")
    asyncio.run(_edit_until(point, conninfo, draft))


async def _edit_until(point: str, conninfo: str, draft: int) -> None:
    db = Database(conninfo)
    who = await db.sign_in(auth.by_email(APPROVER))
    arm(point)
    await Executor(db).edit(who, draft, 1, {"comment": COMMENT}, "a campaign")
