"""What the live catalog says of a relation that somebody wants to register."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

Connection = psycopg.Connection[Any]
OURS = ("crm_mcp_sees", "crm_mcp_only", "crm_mcp_others")
"""The policies that registering a table makes."""
SHOWN = frozenset(
    "bool int8 int2 int4 text json float4 float8 bpchar varchar date time timestamp timestamptz interval timetz numeric uuid jsonb "
    "_bool _int2 _int4 _int8 _text _varchar _numeric _date _timestamptz _uuid".split()
)
"""The types whose values an answer shows, by their names in pg_catalog; and every enumeration, and every domain over these."""
_RELATION = """select c.oid, n.nspname, c.relname, c.relkind::text, c.relowner::regrole::text, pg_has_role(c.relowner, 'usage'),
  has_schema_privilege(n.oid, 'usage'), c.relrowsecurity, c.relispartition, coalesce(c.reloptions, '{}'),
  obj_description(c.oid, 'pg_class'), (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid limit 1),
  exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'),
  array(select distinct case x.grantee when 0 then 'PUBLIC' else 'crm_query' end from aclexplode(c.relacl) x
   where x.grantee in (0, 'crm_query'::regrole)),
  exists (select from pg_attribute a, aclexplode(a.attacl) x where a.attrelid = c.oid and x.grantee in (0, 'crm_query'::regrole)),
  array(select r.rolname::text from (select (aclexplode(c.relacl)).grantee as g) x join pg_roles r on r.oid = x.g where r.oid <> c.relowner)
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname::text = %s and c.relname::text = %s and c.relkind not in ('i', 'I', 't', 'c')"""
_COLUMNS = """with recursive base(at, id, type) as (
   select a.attnum, a.atttypid, a.atttypid from pg_attribute a where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped
   union select b.at, t.typbasetype, b.type from base b join pg_type t on t.oid = b.id where t.typtype = 'd')
 select a.attname::text, format_type(a.atttypid, a.atttypmod), t.typname::text, t.typtype::text, s.nspname::text,
  col_description(a.attrelid, a.attnum), a.attnum,
  array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder)
 from base b join pg_type t on t.oid = b.id and t.typtype <> 'd' join pg_namespace s on s.oid = t.typnamespace
 join pg_attribute a on a.attrelid = %(oid)s and a.attnum = b.at order by a.attnum"""
_POLICIES = """select p.polname::text, p.polroles && array[0::oid, 'crm_query'::regrole::oid] from pg_policy p where p.polrelid = %s order by 1"""
_KEYS = """select k.contype::text, array(select a.attname::text from unnest(k.conkey) with ordinality x(n, at)
   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.n order by x.at), s.nspname::text, c.relname::text,
  array(select a.attname::text from unnest(k.confkey) with ordinality x(n, at)
   join pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.n order by x.at)
 from pg_constraint k left join pg_class c on c.oid = k.confrelid left join pg_namespace s on s.oid = c.relnamespace
 where k.conrelid = %s and k.contype in ('p', 'f') order by k.contype desc, k.conname"""


class Column(NamedTuple):
    """A column: its type as it is written, the comment on it, its labels where it is an enumeration."""

    name: str
    type: str
    is_shown: bool
    comment: str | None
    labels: Sequence[str]


class Key(NamedTuple):
    """A primary key; or a foreign key: columns here, schema, table and columns there."""

    is_primary: bool
    columns: Sequence[str]
    schema: str | None
    table: str | None
    there: Sequence[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A relation as it is now."""

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    is_ours: bool
    is_reachable: bool
    row_security: bool
    is_partition: bool
    options: Sequence[str]
    comment: str | None
    parent: str | None
    of_extension: bool
    open_to: Sequence[str]
    columns_open: bool
    others: Sequence[str]
    columns: Mapping[str, Column]
    policies: Mapping[str, bool]
    keys: Sequence[Key]

    @property
    def is_view(self) -> bool:
        return self.kind == "v"

    @property
    def foreign_policies(self) -> list[str]:
        """The policies that somebody else has made."""
        return [name for name in self.policies if name not in OURS]


_PARTS = tuple(Found.__dataclass_fields__)[:16]
"""What `_RELATION` gives."""


def look(conn: Connection, schema: str, name: str) -> Found | None:
    """Return the relation of a name, None where there is none."""
    row = conn.execute(_RELATION, (schema, name)).fetchone()
    if row is None:
        return None
    oid = row[0]
    columns = {
        column: Column(column, type, (space == "pg_catalog" and base in SHOWN) or kind == "e", comment, labels)
        for column, type, base, kind, space, comment, _, labels in conn.execute(_COLUMNS, {"oid": oid})
    }
    policies: dict[str, bool] = dict(conn.execute(_POLICIES, (oid,)).fetchall())
    keys = [
        Key(kind == "p", here, there, table, names or [])
        for kind, here, there, table, names in conn.execute(_KEYS, (oid,))
    ]
    return Found(**dict(zip(_PARTS, row, strict=True)), columns=columns, policies=policies, keys=keys)
