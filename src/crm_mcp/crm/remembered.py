"""What is remembered and noted about a record: its notes, activities and memories, newest first or by a question."""

from ..ids import PREFIX
from . import recalling, subjects
from .learnings_shown import LIVE, seen_sql

LONGEST = 1_000
"""Characters of a text that are told."""
LATELY = 500
"""Of each kind, the newest that are looked through."""
_ABOUT = "(%(customer)s::bigint is not null and x.customer_id = %(customer)s or (x.subject_type, x.subject_id) = (%(table)s::text, %(about)s::bigint))"
"""An account's are those on its contacts, deals and orders as well."""
_OF = f"case when (%(table)s::text, %(about)s::bigint) is distinct from (x.subject_type, x.subject_id) then {subjects.about_sql('x')} end"


def _rows(table: str, more: str, *columns: str) -> str:
    """Return the SQL of the newest rows about the record: shown, text, at, vector."""
    shown, text, at, vector = columns
    return f"""(select jsonb_strip_nulls(jsonb_build_object('id', '{PREFIX[table]}_' || x.id, 'text', left({text}, {LONGEST}), 'at', {at},
   'by', (select u.name from crm.users u where u.id = x.created_by), 'agent', x.via_agent, 'about', {_OF}) || {shown}) as shown,
   {text} as text, {at} as at, {vector} as vector
  from crm.{table} x where x.org_id = %(org)s and x.archived_at is null and {_ABOUT} and {more} order by {at} desc, x.id desc limit {LATELY})"""


_NOTES = _rows(
    "notes",
    subjects.visible_sql("x"),
    "jsonb_build_object('kind', 'note')",
    "x.body",
    "coalesce(x.written_at, x.created_at)",
    "null::public.halfvec",
)
_ACTIVITIES = _rows(
    "activities",
    subjects.visible_sql("x"),
    "jsonb_build_object('kind', x.kind, 'direction', x.direction, 'minutes', x.minutes)",
    "concat_ws(E'\\n', x.subject, x.body)",
    "x.happened_at",
    "null::public.halfvec",
)
_SUMMED = f"""(%(query)s::text is not null or 'mem_' || x.id not in (select jsonb_array_elements_text(l.data -> 'of') from crm.learnings l
   where l.org_id = %(org)s and l.kind = 'digest' and {_ABOUT.replace("x.", "l.")} and {LIVE} and {seen_sql("l")}))"""
"""What a digest sums up is told where somebody asks for it; in a list the digest stands for it."""
_MEMORIES = _rows(
    "learnings",
    f"{LIVE.replace('l.', 'x.')} and {seen_sql('x')} and {_SUMMED}",
    """jsonb_build_object('kind', x.kind, 'source', x.source, 'confidence', x.confidence, 'details', nullif(x.data - 'of', '{}'),
    'expiresAt', x.expires_at, 'redacted', nullif(x.redacted, '[]'))""",
    "x.content",
    "x.created_at",
    recalling.vector_sql("learning", "x"),
)
SQL = f"""with found as materialized {recalling.fused(f"{_NOTES} union all {_ACTIVITIES} union all {_MEMORIES}")}
 select (select coalesce(jsonb_agg(f.shown order by f.turn), '[]') from (select * from found where turn <= %(most)s) f), (select count(*) from found)"""
"""Needs `Asked.bound`, %(role)s, %(table)s and %(about)s of the record, its number as %(customer)s where it is an account, %(most)s."""
