"""The one generic write: records made, changed, archived and merged, each change decided by itself (S3)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import merging, records
from crm_mcp.crm.entities import SELLERS, entity_of, lead_kind
from crm_mcp.crm.entity import Entity
from crm_mcp.crm.records import Done, Stated
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.tool import Answer, Args, Display, Effect, Text, Values, View, Words, WriteArgs, tool

MOST = 20
"""Changes of one call: what one person reads at one sitting."""
_FIELDS = 60
Id = Annotated[Text, Field(max_length=60)]


class Change(Args):
    proposed_action: Literal["create", "update", "delete", "merge"]
    entity_type: Text = Field(max_length=60, description="Individual, deal, …")
    id: Id | None = Field(None, description="Of update, delete; of merge the survivor.")
    data: Values = Field(default_factory=dict, max_length=_FIELDS, description="Fields; null clears.")
    link_to: Values = Field(default_factory=dict, max_length=_FIELDS, description='{"organization": "org_12"}')
    duplicates: tuple[Id, ...] = Field((), max_length=MOST, description="Merged into id.")
    confidence: float | None = Field(None, ge=0, le=1, strict=True)
    source: Words | None = Field(None, max_length=1000, description="Where it is from.")


class ProposeChanges(WriteArgs):
    changes: tuple[Change, ...] = Field(min_length=1, max_length=MOST)

    def sureness(self) -> float | None:
        """The least that is stated, for the call and for each of its changes."""
        stated = [one for one in (self.confidence, *(it.confidence for it in self.changes)) if one is not None]
        return min(stated, default=None)


class RecordView(View):
    noun: ClassVar[str] = "record"
    nouns: ClassVar[str] = "records"

    id: str
    entity: str
    name: str
    fields: dict[str, Any] | None = None
    links: list[dict[str, str]] | None = None


@tool(
    title="Propose changes",
    toolset="records",
    roles=SELLERS,
    effect=Effect.WRITE,
    agents={Agent.SALES, Agent.RESEARCH},
    each="changes",
)
async def propose_changes(ctx: Write, args: ProposeChanges) -> Answer[RecordView]:
    """Create or update records, archive (delete) or merge them: organizations, individuals, contacts, customers,
    deals, leads, projects, tasks, notes, documents. Use when records are missing, wrong or twice there. Each is decided
    alone; a task, note or document takes about; the org's own fields go into data.custom."""
    if len(args.changes) != 1:
        raise Refusal("INVALID_ARGUMENT", "changes: a draft holds one; propose others anew.", argument="changes")
    (change,) = args.changes
    entity = entity_of(change.entity_type)
    if ctx.principal.role not in entity.writers:
        roles = ", ".join(sorted(entity.writers))
        hint = f"Your role does not write {entity.table}: {roles} may."
        raise Refusal("ROLE_NOT_ALLOWED", hint, entity=entity.table)
    _see_that_it_fits(change)
    done = await _do(ctx, entity, change, Stated(change.source, change.confidence))
    view = RecordView(
        id=done.id,
        entity=entity.noun,
        name=done.name,
        fields=done.fields or None,
        links=done.links or None,
    )
    return Answer(view, Display(title=done.name, badge=entity.noun), did=done.did, warnings=done.warnings)


async def _do(ctx: Write, entity: Entity, change: Change, stated: Stated) -> Done:
    match change.proposed_action:
        case "create":
            kind = lead_kind(change.entity_type)
            return await records.create(ctx, entity, kind, change.data, change.link_to, stated)
        case "update":
            return await records.update(ctx, entity, str(change.id), change.data, change.link_to, stated)
        case "delete":
            return await records.archive(ctx, entity, str(change.id))
        case "merge":
            return await merging.merge(ctx, entity, change.id, change.duplicates, change.data, stated)


def _see_that_it_fits(change: Change) -> None:
    """Refuse what an action does not take, and what it cannot do without."""
    action = change.proposed_action
    given = {name for name in ("id", "data", "link_to", "duplicates") if getattr(change, name)}
    if action != "create" and change.id is None:
        raise Refusal("INVALID_ARGUMENT", f"id: which record? {action} needs it.", argument="id")
    if action == "update" and not given & {"data", "link_to"}:
        raise Refusal("INVALID_ARGUMENT", "data: say what is to be different.", argument="data")
    for name in sorted(given - _TAKES[action]):
        raise Refusal("INVALID_ARGUMENT", f"{name}: does not go with {action}.", argument=name)


_TAKES = {
    "create": frozenset({"data", "link_to"}),
    "update": frozenset({"id", "data", "link_to"}),
    "delete": frozenset({"id"}),
    "merge": frozenset({"id", "data", "duplicates"}),
}
