"""A file of a report or of records, for a person to take from the approvals page."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import asking, exports, rows_of
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.reports import rows
from crm_mcp.sheets.source import Source
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, Values, View, WriteArgs, tool

OPENING = "Give the person the link: it opens for them alone, signed in on the approvals page. Never fetch it."


class CreateExport(WriteArgs):
    report: Text | None = Field(None, max_length=60)
    parameters: Values = Field(default_factory=dict[str, Any])
    entity: Text | None = Field(None, max_length=60, description="customers, orders …")
    filters: Values = Field(default_factory=dict[str, Any])
    columns: tuple[Text, ...] | None = Field(None, max_length=100)
    format: exports.Format = "xlsx"


class ExportView(View):
    noun: ClassVar[str] = "export"
    nouns: ClassVar[str] = "exports"

    id: str
    name: str
    format: str
    of: dict[str, Any]
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    expiresAt: str | None = None
    url: str | None = None


@tool(
    title="Create export",
    toolset="reports",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.ANALYTICS},
)
async def create_export(ctx: Write, args: CreateExport) -> Answer[ExportView]:
    """Make a file of a report (as run_report) or of records (filters as find_records). Use when a person wants Excel or
    CSV: they open its link, signed in."""
    source = await _source(ctx, args)
    export = await exports.begin(ctx, source, args.format)
    number, name = export.id, export.name
    view = ExportView(id=ids.show("exports", number), name=name, format=args.format, of=dict(source.question))
    did = f"export {source.title} to {name} for {ctx.principal.name}"

    async def finish() -> Answer[ExportView]:
        filled = await exports.fill(ctx, number, source, args.format)
        made = {
            "rows": filled.rows,
            "bytes": filled.size,
            "sha256": filled.sha256,
            "expiresAt": filled.expires.isoformat(timespec="seconds"),
            "url": f"{ctx.page_url}/exports/{view.id}",
        }
        shown = Display(title=name, subtitle=f"{filled.rows:,} rows")
        return Answer(view.model_copy(update=made), shown, {"toOpen": OPENING}, did=did)

    return Answer(view, Display(title=name), did=did, warnings=[f"{source.count:,} rows as of now."], finish=finish)


async def _source(ctx: Write, args: CreateExport) -> Source:
    """Return what is to be exported: a report, or records.

    Raises:
        Refusal: INVALID_ARGUMENT, where both or neither are named, or what goes with the other; and what either refuses.
    """
    if (args.report is None) == (args.entity is None):
        raise Refusal("INVALID_ARGUMENT", "Name either a report or an entity.", argument="report")
    if args.report is None:
        assert args.entity is not None
        _nothing_of("parameters", args.parameters, "a report")
        return await rows_of.source(ctx, args.entity, args.filters, args.columns)
    _nothing_of("filters", args.filters, "an entity")
    if args.columns:
        raise Refusal("INVALID_ARGUMENT", "columns are of an entity; a report has its own.", argument="columns")
    return await rows.source(asking.as_read(ctx), args.report, args.parameters)


def _nothing_of(name: str, given: Mapping[str, Any], whose: str) -> None:
    if given:
        raise Refusal("INVALID_ARGUMENT", f"{name} are of {whose}.", argument=name)
