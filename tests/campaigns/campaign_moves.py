"""Movers: processes that move, add, win and take back the same records at the same moment, each through a served client."""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from campaign_drafts import APPROVER, SELLER
from campaign_processes import PATIENCE
from mcp import Client
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from crm_mcp import auth, log
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.approvals.executor import Executor
from crm_mcp.catalog import Catalog
from crm_mcp.crm.models import Deal, Pipeline, PipelinePosition, PipelineStage, StageTransition
from crm_mcp.db import Database
from crm_mcp.errors import refusal_for
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add
from crm_mcp.server import build_server

STAGES = (("Lead", "active"), ("Qualified", "active"), ("Demo", "active"), ("Customer", "won"), ("Lost", "lost"))
ACTIVE = ("Lead", "Qualified", "Demo")
WHY = {"reason": "a campaign"}
EXPECTED = frozenset(
    {
        *("BUSY", "CONFLICT", "MOVED_MEANWHILE", "TRANSITION_NOT_ALLOWED", "ALREADY_IN_PIPELINE", "CHANGED_SINCE"),
        *(
            "TAKEN_MEANWHILE",
            "NOT_IN_PIPELINE",
            "CHANGE_NOT_FOUND",
            "NOT_UNDOABLE",
            "stale",
            "superseded",
            "discarded",
            "decided",
        ),
    }
)
"""What somebody who was not the first may be told; nothing else."""
BUSY_TRIES = 60
Job = tuple[str, str]
"""What to do, with which record."""
Told = tuple[str, str, int]
"""What was done, what was told, and how many rows of a way's history it made."""


@dataclass(frozen=True, slots=True)
class Way:
    """One passage through the pipeline: where it stands, and the moves that count, in the order of their time."""

    stage: str
    kind: str
    entered_at: datetime
    closed_at: datetime | None
    moves: list[tuple[str | None, str, datetime, int | None]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Postgres holds of one deal: how it stands, its ways, and how often a move of it was ever kept."""

    deal: str
    status: str
    closed_at: datetime | None
    ways: list[Way]
    kept: int


def problems(found: Evidence, made: int) -> list[str]:
    """Return what is wrong about a deal, of whose history `made` rows were acknowledged."""
    wrong: list[str] = []
    for way in found.ways:
        before: str | None = way.moves[0][0] if way.moves else None
        at = way.moves[0][2] if way.moves else way.entered_at
        for come, gone, moved_at, seconds in way.moves:
            if come != before:
                wrong.append(f"left {come}, stood in {before}")
            if moved_at < at:
                wrong.append(f"came to {gone} before it came to {come}")
            if seconds is not None and seconds < 0:
                wrong.append(f"stood {seconds} seconds in {come}")
            before, at = gone, moved_at
        if way.moves and (before, at) != (way.stage, way.entered_at):
            wrong.append(f"came to {before} at {at}, stands in {way.stage} since {way.entered_at}")
        if (way.closed_at is None) != (way.kind == "active"):
            wrong.append(f"in {way.stage} closed at {way.closed_at}")
    open_ways = sum(way.closed_at is None for way in found.ways)
    if open_ways > 1:
        wrong.append(f"{open_ways} open ways at once")
    ends = {way.kind: way.closed_at for way in sorted(found.ways, key=lambda way: way.entered_at)}
    if found.status == "open":
        if found.closed_at is not None or not open_ways:
            wrong.append(f"open, closed at {found.closed_at}, {open_ways} open ways")
    elif ends.get(found.status) != found.closed_at:
        wrong.append(f"{found.status} at {found.closed_at}, its way at {ends.get(found.status)}")
    if open_ways and "won" not in ends and found.status != "open":
        wrong.append(f"{found.status} on an open way")
    if found.kept != made:
        wrong.append(f"{found.kept} moves kept, {made} acknowledged")
    return [f"{found.deal}: {one}" for one in wrong]


class Course:
    """A pipeline of the demo org and the deals in it, made by a batch and seen as the owner."""

    def __init__(self, home: Any, mark: str, deals: int) -> None:
        self.name = f"Course {mark}"
        self._owner = psycopg.connect(home.conninfo("crm_owner"), autocommit=True)
        self.deals = asyncio.run(self._made(home, deals))

    async def _made(self, home: Any, deals: int) -> list[str]:
        db = Database(home.conninfo("crm_approver"))
        try:
            who = await db.sign_in(auth.by_email(APPROVER))
            async with batch(db, who, "campaign", {}, "Deals for a campaign.") as session:
                (way,) = await add(session, Pipeline, who.org, [{"name": self.name, "kind": "sales"}])
                lists = {name: Jsonb([]) for name in ("exit_criteria", "required_fields", "suggestions")}
                rows = [
                    {"pipeline_id": way, "position": at, "name": name, "kind": kind, "automation": True, **lists}
                    for at, (name, kind) in enumerate(STAGES, 1)
                ]
                stages = await add(session, PipelineStage, who.org, rows)
                money = {"amount": Decimal(5), "currency": "EUR", "base_amount": Decimal(5)}
                made = await add(session, Deal, who.org, [{"name": f"Raced {at}", **money} for at in range(deals)])
                now = datetime.now().astimezone()
                places = [
                    {
                        "pipeline_id": way, "stage_id": stages[0], "subject_type": "deals", "subject_id": deal,
                        "entered_at": now,
                    }
                    for deal in made
                ]  # fmt: skip
                await add(session, PipelinePosition, who.org, places)
        finally:
            await db.close()
        self.org, self.way, self.stages = who.org, way, dict(zip((n for n, _ in STAGES), stages, strict=True))
        return [f"deal_{number}" for number in made]

    def evidence(self, deal: str) -> Evidence:
        key = (self.org, int(deal[5:]))
        status, closed_at = self._owner.execute(
            "select status, closed_at from crm.deals where org_id = %s and id = %s", key
        ).fetchone() or ("", None)
        ways = [
            Way(stage, kind, entered_at, ended, self._moves(place))
            for place, stage, kind, entered_at, ended in self._owner.execute(
                """select p.id, s.name, s.kind, p.entered_at, p.closed_at from crm.pipeline_positions p
                join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
                where p.org_id = %s and p.subject_type = 'deals' and p.subject_id = %s and p.archived_at is null""",
                key,
            ).fetchall()
        ]
        (kept,) = self._owner.execute(
            """select count(*) from crm.stage_transitions t join crm.pipeline_positions p on p.org_id = t.org_id and p.id = t.position_id
            where p.org_id = %s and p.subject_type = 'deals' and p.subject_id = %s""",
            key,
        ).fetchone() or (0,)
        return Evidence(deal, status, closed_at, ways, kept)

    def _moves(self, place: int) -> list[tuple[str | None, str, datetime, int | None]]:
        return self._owner.execute(
            """select f.name, s.name, t.moved_at, t.seconds_in_stage from crm.stage_transitions t
            join crm.pipeline_stages s on s.org_id = t.org_id and s.id = t.to_stage_id
            left join crm.pipeline_stages f on f.org_id = t.org_id and f.id = t.from_stage_id
            where t.org_id = %s and t.position_id = %s and t.archived_at is null order by t.moved_at, t.id""",
            (self.org, place),
        ).fetchall()

    def close(self) -> None:
        self._owner.close()


class Movers:
    """Processes that act on the same deals at the same moment, again and again."""

    def __init__(self, processes: Any, home: Any, size: int, course: Course, bug: str = "") -> None:
        logins = {role: home.conninfo(role) for role in ("crm_agent", "crm_approver")}
        self.size, barrier = size, processes.Barrier(size)
        self._pipes, self._members = [], []
        seen = (course.name, course.org, course.way, course.stages)
        for at in range(size):
            ours, theirs = processes.Pipe()
            member = processes.Process(target=_move, args=(theirs, barrier, logins, seen, at, bug), daemon=True)
            member.start()
            theirs.close()
            self._pipes.append(ours)
            self._members.append(member)
        for pipe in self._pipes:
            assert pipe.poll(PATIENCE), "a mover does not start"
            pipe.recv()

    def race(self, rounds: list[list[Job]]) -> list[list[Told]]:
        """Run rounds of one job for each mover; return what each was told."""
        for at, pipe in enumerate(self._pipes):
            pipe.send([jobs[at] for jobs in rounds])
        return [[self._heard(pipe) for pipe in self._pipes] for _ in rounds]

    def _heard(self, pipe: Any) -> Told:
        assert pipe.poll(PATIENCE), "a mover hangs"
        told: Told = pipe.recv()
        return told

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


def _move(pipe: Any, barrier: Any, logins: dict[str, str], seen: Any, at: int, bug: str) -> None:
    log.configure("error")
    if bug == "unlocked":
        _forget_locks()
    asyncio.run(_Mover(logins, seen, at).run(pipe, barrier, naive=bug == "naive"))


def _forget_locks() -> None:
    """Plant a bug: rows are read to be changed, and nobody is kept from them meanwhile."""
    get = AsyncSession.get

    async def unlocked(session: Any, entity: Any, key: Any, **more: Any) -> Any:
        more.pop("with_for_update", None)
        return await get(session, entity, key, **more)

    AsyncSession.get = unlocked  # type: ignore[method-assign]


class _Mover:
    def __init__(self, logins: dict[str, str], seen: Any, at: int) -> None:
        self._logins, self._name, self._org, self._way, self._stages = logins, *seen
        self._email = SELLER if at % 2 else APPROVER
        self._chance = random.Random(at)
        self._last: dict[str, str] = {}
        """The latest own change of each deal that is not taken back."""

    async def run(self, pipe: Any, barrier: Any, *, naive: bool) -> None:
        async def database() -> Database:
            return Database(self._logins["crm_agent"], size=1)

        app = App(database, Catalog(), Served(auth.by_email(self._email), None), lambda: "http://localhost:8787")
        self._approver = Database(self._logins["crm_approver"], size=1)
        self._ada = await self._approver.sign_in(auth.by_email(APPROVER))
        try:
            async with Client(build_server(app)) as self._client:
                await self._client.call_tool("whoami", {})
                await asyncio.to_thread(pipe.send, "here")
                while (rounds := await asyncio.to_thread(pipe.recv)) is not None:
                    for action, deal in rounds:
                        await asyncio.to_thread(barrier.wait, PATIENCE)
                        told = await (self._naive(deal, barrier) if naive else self._act(action, deal))
                        await asyncio.to_thread(pipe.send, told)
        finally:
            await self._approver.close()
            await app.close()

    async def _act(self, action: str, deal: str) -> Told:
        if action == "undo" and deal not in self._last:
            action = "move"
        for _ in range(BUSY_TRIES):
            answer = await getattr(self, f"_{action}")(deal)
            if answer.get("error") != "BUSY":
                break
        if "error" in answer:
            return action, answer["error"], 0
        if answer["type"] == "approval_required":
            said = await self._decided(int(answer["draft"]["id"][6:]))
            return action, said, int(said == "approved")
        if action == "undo":
            del self._last[deal]
            return action, "done", 0
        change = answer["_meta"].get("change")
        if change is None:
            return action, "nothing to do", 0
        self._last[deal] = change
        return action, "done", 1

    async def _call(self, tool: str, **asked: Any) -> dict[str, Any]:
        answer = (await self._client.call_tool(tool, {**asked, **WHY})).structured_content
        assert answer is not None
        return answer

    async def _to(self, deal: str, stage: str) -> dict[str, Any]:
        return await self._call(
            "move_to_stage",
            moves=[{"record": deal, "pipeline": self._name, "to_stage": stage, "explanation": "raced"}],
        )

    async def _move(self, deal: str) -> dict[str, Any]:
        return await self._to(deal, self._chance.choice(ACTIVE))

    async def _lose(self, deal: str) -> dict[str, Any]:
        return await self._to(deal, "Lost")

    async def _win(self, deal: str) -> dict[str, Any]:
        return await self._to(deal, "Customer")

    async def _add(self, deal: str) -> dict[str, Any]:
        return await self._call("add_to_pipeline", records=[deal], pipeline=self._name)

    async def _undo(self, deal: str) -> dict[str, Any]:
        return await self._call("undo_change", change=self._last[deal])

    async def _decided(self, draft: int) -> str:
        """Approve a held call as the approver would; return what became of it."""
        executor = Executor(self._approver)
        for _ in range(BUSY_TRIES):
            try:
                shown = await executor.show(self._ada, draft)
                if shown is None or shown.hash is None:
                    return "stale"
                outcome = await executor.approve(self._ada, draft, shown.hash)
                # whoever asks for what waits already is given that draft, which somebody else may decide
                return outcome.state if outcome.won or outcome.state != "approved" else "decided"
            except Exception as problem:
                no = refusal_for(problem)
                if no is None:
                    raise
                if no.error != "BUSY":
                    return no.error
        return "BUSY"

    async def _naive(self, deal: str, barrier: Any) -> Told:
        """Move as somebody would who looks first and writes then; everybody looks before anybody writes."""
        async with batch(self._approver, self._ada, "campaign", {}, "Move naively.") as session:
            conn = await session.connection()
            found = await conn.exec_driver_sql(
                """select id, stage_id from crm.pipeline_positions where org_id = %s and pipeline_id = %s
                and subject_type = 'deals' and subject_id = %s and archived_at is null""",
                (self._org, self._way, int(deal[5:])),
            )
            place, stage = found.one()
            await asyncio.to_thread(barrier.wait, PATIENCE)
            at = datetime.now().astimezone()
            row = {
                "position_id": place, "pipeline_id": self._way, "from_stage_id": stage,
                "to_stage_id": self._stages["Qualified"], "moved_at": at, "seconds_in_stage": 0, "criteria_met": True,
            }  # fmt: skip
            await add(session, StageTransition, self._org, [row])
            await conn.exec_driver_sql(
                "update crm.pipeline_positions set stage_id = %s, entered_at = %s where org_id = %s and id = %s",
                (self._stages["Qualified"], at, self._org, place),
            )
        return "move", "done", 1
