"""Give records the ages of their story: whatever is written, the database stamps with its own clock.

Only the owner can, with the stamps held still, and only what the load itself has made and nobody has touched since.
"""

from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

_AGES: dict[LiteralString, LiteralString] = {
    "leads": """select l.id, coalesce(min(t.moved_at), l.contacted_at, (select j.posted_on::timestamptz from crm.jobs j
        where j.org_id = l.org_id and j.lead_id = l.id)) as made, greatest(max(t.moved_at), l.contacted_at, l.converted_at) as changed
      from crm.leads l left join crm.pipeline_positions p on p.org_id = l.org_id and (p.subject_type, p.subject_id) = ('leads', l.id)
      left join crm.stage_transitions t on t.org_id = p.org_id and t.position_id = p.id where l.org_id = %(org)s group by l.org_id, l.id""",
    "deals": """select d.id, min(t.moved_at) as made, max(t.moved_at) as changed from crm.deals d
      join crm.pipeline_positions p on p.org_id = d.org_id and (p.subject_type, p.subject_id) = ('deals', d.id)
      join crm.stage_transitions t on t.org_id = p.org_id and t.position_id = p.id where d.org_id = %(org)s group by d.id""",
    "notes": """select n.id, coalesce(a.happened_at, (select min(o.placed_at) from crm.orders o where o.org_id = n.org_id
        and o.customer_id = n.customer_id), n.created_at - interval '60 days') as made, null::timestamptz as changed
      from (select x.*, row_number() over (partition by x.customer_id order by x.id) as nth from crm.notes x where x.org_id = %(org)s) n
      left join (select y.*, row_number() over (partition by y.customer_id order by y.happened_at desc, y.id) as nth
        from crm.activities y where y.org_id = %(org)s and y.subject_type = 'customers') a
        on a.customer_id = n.customer_id and a.nth = n.nth""",
}
"""When records of a table were made and last changed: a lead when it moved, a note when somebody met the customer."""
_FRESH: LiteralString = """select a.id, a.made, greatest(a.made, a.changed) as changed from ({ages}) a
  join crm.{table} k on k.org_id = %(org)s and k.id = a.id and k.version = 1 and k.created_at > a.made
  join crm.changes c on c.org_id = k.org_id and c.tbl = '{table}' and c.op = 'I' and c.key ->> 'id' = k.id::text
  where c.call_id in (select l.call_id from crm.audit_log l where l.org_id = %(org)s and l.tool = 'demo')"""


async def age(owner: psycopg.AsyncConnection[tuple[int]], slug: str) -> None:
    """Age what the load of a demo org has made; what has its age already, or was touched since, is left as it is."""
    named = await (await owner.execute("select id from crm.orgs where slug = %s", (slug,))).fetchone()
    assert named is not None
    org = {"org": named[0]}
    for table, ages in _AGES.items():
        fresh = SQL(_FRESH).format(ages=SQL(ages), table=SQL(table))
        found = await owner.execute(SQL("select count(*) from ({}) f").format(fresh), org)
        row = await found.fetchone()
        if row is None or not row[0]:
            continue
        async with owner.transaction():
            for state in ("disable", "enable"):
                for trigger in ("stamp", "record"):
                    words = SQL("alter table crm.{} {} trigger {}")
                    await owner.execute(words.format(Identifier(table), SQL(state), Identifier(trigger)))
                if state == "disable":
                    words = SQL(
                        "with f as materialized ({}) update crm.{} k set created_at = f.made, updated_at = f.changed{} from f "
                        "where k.org_id = %(org)s and k.id = f.id"
                    )
                    written = SQL(", written_at = f.made" if table == "notes" else "")
                    await owner.execute(words.format(fresh, Identifier(table), written), org)
