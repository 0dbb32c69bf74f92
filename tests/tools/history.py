"""Ways through a pipeline of a bureau's own, made move by move."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bureau import ZONE, Bureau
from mcp import MCPError
from psycopg.types.json import Jsonb

from crm_mcp import auth
from crm_mcp.crm.models import Activity, Deal, Pipeline, PipelinePosition, PipelineStage, StageTransition
from crm_mcp.importing.batch import batch

NOW = datetime.now(UTC)
LISTS: dict[str, list[Any]] = {"exit_criteria": [], "required_fields": [], "suggestions": []}
STAGES = (
    ("Lead", "active", 10),
    ("Demo", "active", 40),
    ("Offer", "active", 70),
    ("Won", "won", 100),
    ("Lost", "lost", 0),
)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def day(days: float) -> date:
    """Return the org's day so many days ago."""
    return ago(days).astimezone(ZONE).date()


@dataclass
class History:
    bureau: Bureau
    pipeline: int = 0
    name: str = "Fair"
    stages: dict[str, int] = field(default_factory=dict[str, int])

    async def open(self, **of: Any) -> "History":
        self.name = of.pop("name", "Fair")
        (self.pipeline,) = await self.bureau.add(Pipeline, {"name": self.name, "kind": of.pop("kind", "sales")})
        rows = [
            {
                "pipeline_id": self.pipeline,
                "position": at,
                "name": name,
                "kind": kind,
                "probability": Decimal(odds),
                **LISTS,
            }
            for at, (name, kind, odds) in enumerate(STAGES, 1)
        ]
        given = [{**row, **of.get(row["name"], {})} for row in rows]
        jsons = [{name: Jsonb(one[name]) for name in LISTS} for one in given]
        made = await self.bureau.add(
            PipelineStage, *[{**one, **json} for one, json in zip(given, jsons, strict=True)]
        )
        self.stages = {row["name"]: number for row, number in zip(rows, made, strict=True)}
        return self

    async def deals(self, *ways: Any) -> list[str]:
        """Make deals; each of ways is [(stage, days ago), …] or {way, and columns of the deal; place: of its place}.

        Moves are kept as the tools keep them; what ends in Won or Lost is closed then.
        """
        given = [way if isinstance(way, dict) else {"way": way} for way in ways]
        rows: list[dict[str, Any]] = []
        for at, one in enumerate(given, 1):
            way = one.get("way", [])
            end = way[-1] if way and way[-1][0] in ("Won", "Lost") else None
            amount = one.get("amount")
            row = {
                "name": f"Deal {at}",
                "status": "open" if end is None else end[0].lower(),
                "closed_at": None if end is None else ago(end[1]),
                "amount": None if amount is None else Decimal(amount),
                "currency": None if amount is None else "EUR",
                "base_amount": None if amount is None else Decimal(amount),
            }
            said = {name: value for name, value in one.items() if name not in ("way", "amount", "place")}
            rows.append({**row, **said})
        numbers = await self.bureau.add(Deal, *rows)
        await self.walk(
            [
                ("deals", number, one.get("way", []), one.get("place", {}))
                for number, one in zip(numbers, given, strict=True)
            ]
        )
        return [f"deal_{number}" for number in numbers]

    async def walk(self, walks: list[tuple[str, int, list[tuple[str, float]], dict[str, Any]]]) -> list[int]:
        """Let records go their ways; return the places."""
        walks = [walk for walk in walks if walk[2]]
        if not walks:
            return []
        places = await self.bureau.add(
            PipelinePosition,
            *[
                {
                    "pipeline_id": self.pipeline,
                    "stage_id": self.stages[way[-1][0]],
                    "subject_type": table,
                    "subject_id": number,
                    "entered_at": ago(way[-1][1]),
                    "closed_at": ago(way[-1][1]) if way[-1][0] in ("Won", "Lost") else None,
                    **more,
                }
                for table, number, way, more in walks
            ],
        )
        moves: list[dict[str, Any]] = []
        for place, (_, _, way, _) in zip(places, walks, strict=True):
            before: tuple[str, float] | None = None
            for stage, days in way:
                moves.append(
                    {
                        "position_id": place,
                        "pipeline_id": self.pipeline,
                        "from_stage_id": None if before is None else self.stages[before[0]],
                        "to_stage_id": self.stages[stage],
                        "moved_at": ago(days),
                        "seconds_in_stage": None if before is None else int((before[1] - days) * 86400),
                        "criteria_met": True,
                    }
                )
                before = (stage, days)
        await self.bureau.add(StageTransition, *moves)
        return places

    async def set(self, table: str, number: int, column: str, value: Any) -> None:
        """Change a column of a record, as an approved batch would."""
        bureau = self.bureau
        who = await bureau._approver.sign_in(auth.by_email(bureau.boss))
        async with batch(bureau._approver, who, "history", {}, "Change a test's record.") as session:
            sql = f"update crm.{table} set {column} = %s where org_id = %s and id = %s"
            await (await session.connection()).exec_driver_sql(sql, (value, who.org, number))

    async def contacts(self, deal: str, *days: float) -> None:
        """Let there be a call about a deal on each of those days ago."""
        await self.bureau.add(
            Activity,
            *[
                {
                    "kind": "call",
                    "subject": "Call",
                    "happened_at": ago(day),
                    "subject_type": "deals",
                    "subject_id": int(deal[5:]),
                }
                for day in days
            ],
        )

    async def ask(self, tool: str, **asked: Any) -> dict[str, Any]:
        return await self.bureau.ask(tool, asked)


async def is_unknown(lab: Any, email: str, tool: str, asked: dict[str, Any]) -> bool:
    """Say whether a person is told that there is no such tool."""
    async with lab.connect(email) as client:
        try:
            await client.call_tool(tool, asked)
        except MCPError as refused:
            return "Unknown tool" in refused.error.message
    return False
