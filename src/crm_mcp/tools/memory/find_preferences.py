"""What is known of how a person wants things: what they said, and what deciding people corrected."""

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import preferred, recalling
from crm_mcp.memory.redaction import redact, region_of
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool
from crm_mcp.tools.memory.save_preference import Kind, PreferenceView

_EVERY = f"""select y.shown, y.shown ->> 'text' as text, y.at, y.vector from (
   select {preferred.SHOWN} as shown, coalesce(u.used_at, p.updated_at) as at, {recalling.vector_sql("preference", "p")} as vector
    from {preferred.FROM} where {preferred.MINE}
   union all select l.shown, l.at, null::public.halfvec from ({preferred.LEARNT}) l) y
  where %(kind)s::text is null or y.shown ->> 'kind' = %(kind)s"""
SQL = f"select coalesce(jsonb_agg(f.shown order by f.turn), '[]') from {recalling.fused(_EVERY)} f"


class FindPreferences(Args):
    query: Text | None = Field(None, max_length=200)
    kind: Kind | None = None


@tool(
    title="Find preferences",
    toolset="memory",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.SETTINGS},
)
async def find_preferences(ctx: Read, args: FindPreferences) -> Answer[list[PreferenceView]]:
    """Find how this person wants things, and what was corrected in their drafts. Use before work whose way matters;
    save_preference adds to it. Only their own are known to you."""
    asked = await recalling.asked(ctx, args.query)
    rows = recalling.listed(await ctx.one(SQL, **asked.bound(), kind=args.kind))
    found = [PreferenceView.model_validate(one) for one in rows]
    region = region_of(ctx.principal.timezone)
    for one in found:
        one.text = redact(one.text, region).text  # what an approver wrote was never stored by us
    return Answer(found, Display(title=f"{len(found)} preferences"), asked.meta(), beside=_counted(ctx, found))


def _counted(ctx: Read, found: list[PreferenceView]) -> list[tuple[str, tuple[object, ...]]]:
    """Return the statements that count what was told."""
    told: list[tuple[str, tuple[object, ...]]] = []
    for kind, table in (("preference", "preferences"), ("draft", "drafts")):
        prefix = f"{ids.PREFIX[table]}_"
        if numbers := [ids.parse(table, one.id) for one in found if one.id.startswith(prefix)]:
            told.append(preferred.used(ctx.principal, kind, numbers))
    return told
