"""Facts found about a person and where they work, with their sources; a person approves them unless the org lets them run."""

from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import enriching
from crm_mcp.crm.enriching import Findings
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Display, Effect, Text, View, Words, WriteArgs, tool


class EnrichContact(WriteArgs):
    record: Text = Field(max_length=60, description="cont_… or ind_…")
    data: Findings
    sources: tuple[Words, ...] = Field(min_length=1, max_length=20, description="Where you found it.")


class EnrichedView(View):
    noun: ClassVar[str] = "enriched"
    nouns: ClassVar[str] = "enriched"

    record: dict[str, str]
    organization: dict[str, str] | None = None
    changes: list[dict[str, Any]]
    note: str | None = None
    sources: list[str]


@tool(
    title="Enrich contact",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES},
    effect=Effect.WRITE,
    agents={Agent.RESEARCH},
)
async def enrich_contact(ctx: Write, args: EnrichContact) -> Answer[EnrichedView]:
    """Put what you found about a person and their organization on their records, with its sources. Use after research
    outside the CRM; to link or make an organization use propose_changes. A person approves it, unless the policy lets
    it run."""
    done = await enriching.enrich(ctx, args.record, args.data, args.sources, args.confidence)
    name, organization = done.subject.name, done.organization
    view = EnrichedView(
        record=done.subject.shown,
        organization=None
        if organization is None
        else {"id": ids.show("organizations", organization.id), "name": organization.name},
        changes=[
            {"record": one.record, "field": one.field, "before": one.before, "after": one.after}
            for one in done.changes
        ],
        note=done.note,
        sources=list(args.sources),
    )
    what = [change.words for change in done.changes] + (["a note of what else was found"] if done.note else [])
    did = f"enrich {name}: {', '.join(what)}" if what else f"change nothing on {name}"
    return Answer(view, Display(title=name, subtitle=f"{len(done.changes)} fields"), did=did, warnings=done.warnings)
