"""What a backup holds, said in the backup itself: so that it can be checked, and a restore can say what it restored."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from pydantic import BaseModel

from .. import __version__

_SCHEMAS = """select nspname from pg_namespace where nspowner = 'crm_owner'::regrole and nspname !~ '^(pg|query)_' and nspname <> 'public'
 order by nspname"""
"""The schemas query_… hold views alone, which every upgrade makes anew."""
_TABLES = """select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname = any(%s) order by 1, 2"""
_AUDIT = """select o.id, o.slug, coalesce(a.seq, 0), coalesce(encode(a.hash, 'hex'), ''),
 (select count(*) from crm.audit_log u where u.org_id = o.id and u.seq is null)
 from crm.orgs o left join lateral (select seq, hash from crm.audit_log l where l.org_id = o.id and l.seq is not null
   order by l.seq desc limit 1) a on true order by o.id"""
_EXTENSIONS = "select extname from pg_extension where extname <> 'plpgsql' order by extname"


class Chain(BaseModel):
    """The audit of one org as it was: its last sealed row, and how many rows waited to be sealed."""

    org: int
    slug: str
    seq: int
    head: str
    unsealed: int


class Manifest(BaseModel):
    """What stands at the end of a backup file. `sha256` and `size` are of the dump before it."""

    format: int = 1
    program: str
    revision: str
    made_at: datetime
    server: int
    schemas: list[str]
    extensions: list[str]
    tables: dict[str, int]
    audit: list[Chain]
    size: int = 0
    sha256: str = ""

    @property
    def rows(self) -> int:
        return sum(self.tables.values())

    def described(self) -> str:
        """Return what it is in a line."""
        orgs = ", ".join(chain.slug for chain in self.audit) or "none"
        return (
            f"made {self.made_at:%Y-%m-%d %H:%M} UTC by crm-mcp {self.program} at revision {self.revision}: "
            f"{len(self.tables)} tables, {self.rows:,} rows, {self.size:,} bytes; orgs: {orgs}"
        )


def survey(conn: psycopg.Connection[Any]) -> Manifest:
    """Count what the snapshot of this transaction holds; `conn` is crm_owner's."""
    row = conn.execute("select revision from crm.schema_state").fetchone()
    assert row is not None
    schemas = [name for (name,) in conn.execute(_SCHEMAS).fetchall()]
    return Manifest(
        program=__version__,
        revision=row[0],
        made_at=datetime.now(UTC),
        server=conn.info.server_version // 10000,
        schemas=schemas,
        extensions=[name for (name,) in conn.execute(_EXTENSIONS).fetchall()],
        tables=count(conn, schemas),
        audit=[
            Chain(org=org, slug=slug, seq=seq, head=head, unsealed=unsealed)
            for org, slug, seq, head, unsealed in conn.execute(_AUDIT).fetchall()
        ],
    )


def count(conn: psycopg.Connection[Any], schemas: list[str]) -> dict[str, int]:
    """Return the rows of each table, by its name with its schema."""
    found: dict[str, int] = {}
    for schema, table in conn.execute(_TABLES, (schemas,)).fetchall():
        counted = conn.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))).fetchone()
        found[f"{schema}.{table}"] = counted[0] if counted else 0
    return found
