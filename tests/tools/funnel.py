"""A pipeline of the lab's own for a test: records are put into it as an approved batch would, and moved through the tools."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from lab import LEA, LOU, Lab

from crm_mcp.crm.models import (
    Contact,
    Deal,
    Lead,
    Opportunity,
    Organization,
    Pipeline,
    PipelinePosition,
    PipelineStage,
)

WHY = {"reason": "they are ready"}
NUMBERS = itertools.count(1)
Row = dict[str, Any]
STAGES: tuple[Row, ...] = (
    {"name": "Lead", "automation": True},
    {
        "name": "Qualified",
        "automation": True,
        "exit_criteria": [
            {"name": "has_budget_confirmed"},
            {"name": "timeline_defined"},
            {"name": "reference_called"},
        ],
    },
    {"name": "Demo", "automation": True},
    {"name": "Proposal"},
    {"name": "Customer", "kind": "won"},
    {"name": "Lost", "kind": "lost"},
)


@dataclass
class Funnel:
    """A pipeline with its name, and its stages' numbers by name."""

    lab: Lab
    home: Any
    executor: Any
    person: Any
    name: str
    id: str
    stages: dict[str, int]
    kind: str

    async def put(self, record: str, stage: str = "Lead", amount: str | None = None, **more: Any) -> str:
        """Let a record stand in a stage since an hour ago; return its place."""
        table = {"cont": "contacts", "ind": "individuals", "cust": "customers", "deal": "deals", "lead": "leads"}
        prefix, _, number = record.partition("_")
        row = {
            "pipeline_id": int(self.id[5:]),
            "stage_id": self.stages[stage],
            "subject_type": table[prefix],
            "subject_id": int(number),
            "entered_at": datetime.fromtimestamp(datetime.now(UTC).timestamp() - 3600, UTC),
            "amount": None if amount is None else Decimal(amount),
            "currency": None if amount is None else "EUR",
            "base_amount": None if amount is None else Decimal(amount),
            **more,
        }
        (made,) = await self.lab.add(PipelinePosition, row)
        return f"pos_{made}"

    async def ask(self, tool: str, email: str = LOU, **asked: Any) -> Row:
        return await self.lab.ask(tool, {**WHY, **asked}, email)

    async def ask_read(self, tool: str, **asked: Any) -> Row:
        return await self.lab.ask(tool, asked, LOU)

    async def move(self, record: str, to: str, email: str = LOU, served: Row | None = None, **more: Any) -> Row:
        call = {key: more.pop(key) for key in ("confidence", "reason", "idempotency_key") if key in more}
        asked = {**WHY, **call, "moves": [{"record": record, "to_stage": to, "pipeline": self.name, **more}]}
        return await self.lab.ask("move_to_stage", asked, email, **(served or {}))

    async def approve(self, held: Row) -> Any:
        """Approve a held call as Lea."""
        assert held["type"] == "approval_required", held
        lea, draft = await self.person(LEA), int(held["draft"]["id"][6:])
        shown = await self.executor.show(lea, draft)
        return await self.executor.approve(lea, draft, shown.hash)

    def row(self, sql: str, *params: object) -> tuple[Any, ...]:
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            found = conn.execute(sql, params).fetchone()  # type: ignore[arg-type]
            assert found is not None, sql
            return found

    def stage(self, record: str) -> str | None:
        """Return the stage in which a record stands in this pipeline, None where in none."""
        table = {"cont": "contacts", "ind": "individuals", "cust": "customers", "deal": "deals", "lead": "leads"}
        prefix, _, number = record.partition("_")
        (name,) = self.row(
            """select (select s.name from crm.pipeline_positions p join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
             where p.pipeline_id = %s and p.subject_type = %s and p.subject_id = %s and p.archived_at is null order by p.id desc limit 1)""",
            int(self.id[5:]),
            table[prefix],
            int(number),
        )
        return name


async def funnel(
    lab: Lab, home: Any, executor: Any, person: Any, stages: tuple[Row, ...] = STAGES, **more: Any
) -> Funnel:
    """Make a pipeline of its own name."""
    name = f"Way {next(NUMBERS)} {datetime.now(UTC).timestamp()}"
    kind = more.pop("kind", "sales")
    (pipeline,) = await lab.add(Pipeline, {"name": name, "kind": kind, **more})
    rows = [
        {
            "pipeline_id": pipeline,
            "position": at,
            "name": stage["name"],
            "kind": stage.get("kind", "active"),
            "exit_criteria": _json(stage.get("exit_criteria", [])),
            "required_fields": _json(stage.get("required_fields", [])),
            "can_skip": stage.get("can_skip", False),
            "next_stages": None if "next_stages" not in stage else _json(stage["next_stages"]),
            "automation": stage.get("automation", False),
        }
        for at, stage in enumerate(stages, 1)
    ]
    made = await lab.add(PipelineStage, *rows)
    numbers = {stage["name"]: number for stage, number in zip(stages, made, strict=True)}
    return Funnel(lab, home, executor, person, name, f"pipe_{pipeline}", numbers, kind)


def _json(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value)


async def lead(lab: Lab, name: str = "Lead", **opportunity: Any) -> str:
    """Make a lead of kind opportunity, worth EUR 900."""
    (number,) = await lab.add(Lead, {"kind": "opportunity", "name": name, "status": "qualified"})
    row = {"lead_id": number, "amount": Decimal(900), "currency": "EUR", **opportunity}
    await lab.add(Opportunity, row)
    return f"lead_{number}"


async def deal(lab: Lab, name: str = "Deal", amount: str | None = "900", **more: Any) -> str:
    money = (
        {"amount": None, "currency": None, "base_amount": None}
        if amount is None
        else {"amount": Decimal(amount), "currency": "EUR", "base_amount": Decimal(amount)}
    )
    (number,) = await lab.add(Deal, {"name": name, **money, **more})
    return f"deal_{number}"


async def contact(lab: Lab, name: str = "Person", organization: str | None = None, **more: Any) -> str:
    if organization is None:
        (made,) = await lab.add(Organization, {"name": f"{name}'s firm"})
        organization = f"org_{made}"
    (number,) = await lab.add(Contact, {"name": name, "organization_id": int(organization[4:]), **more})
    return f"cont_{number}"


__all__ = ["STAGES", "WHY", "Funnel", "contact", "deal", "funnel", "lead"]
