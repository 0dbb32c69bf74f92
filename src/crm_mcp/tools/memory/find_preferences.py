"""What is known of how a person wants things: what they said, and what deciding people corrected."""

from typing import Any

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import preferences
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool
from crm_mcp.tools.memory.save_preference import Kind, PreferenceView

SQL = f"""select coalesce(jsonb_agg(x.shown order by x.near desc, x.at desc), '[]') from (
  select y.shown, y.at, case when %(query)s::text is null then 0 else public.word_similarity(lower(%(query)s), lower(y.shown ->> 'text')) end as near
  from (select {preferences.SHOWN} as shown, coalesce(u.used_at, p.updated_at) as at from {preferences.FROM} where {preferences.MINE}
   union all select l.shown, l.at from ({preferences.LEARNT}) l) y
  where %(kind)s::text is null or y.shown ->> 'kind' = %(kind)s) x
 where %(query)s::text is null or x.near >= 0.3"""


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
    row = await ctx.one(SQL, query=args.query, kind=args.kind)
    rows: list[dict[str, Any]] = row[0] if row else []
    found = [PreferenceView.model_validate(one) for one in rows]
    return Answer(found, Display(title=f"{len(found)} preferences"))
