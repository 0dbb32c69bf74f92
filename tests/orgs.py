"""What the import tests share: orgs of their own, files, and a look into the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.plan import Kind, Plan, Report
from crm_mcp.importing.run import run
from crm_mcp.principal import Principal


def found_org(home: Home, slug: str, *, currency: str = "EUR", zone: str = "Europe/Berlin") -> str:
    """Make an org with an administrator who may approve; return their e-mail address."""
    email = f"boss@{slug}.example"
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        org, user = conn.execute(
            """with o as (insert into crm.orgs(slug, name, base_currency, timezone) values (%s, %s, %s, %s) returning id),
            u as (insert into crm.users(email, name) values (%s, 'Boss') returning id)
            select o.id, u.id from o, u""",
            (slug, slug.title(), currency, zone, email),
        ).fetchone() or (0, 0)
        conn.execute(
            """insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit)
            values (%s, %s, 'admin', true, 1000000)""",
            (org, user),
        )
    return email


@dataclass
class Desk:
    """An org, the folder of its files, and the person who imports them."""

    home: Home
    db: Database
    who: Principal
    folder: Path
    steps: list[tuple[int, int]] = field(default_factory=list)

    def write(self, name: str, text: str | bytes, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    async def bring(self, kind: Kind, text: str | bytes | Path, *, dry_run: bool = False, **options: Any) -> Report:
        """Import a file given by its text; `lines` is the text of a file of lines."""
        file = text if isinstance(text, Path) else self.write(f"{kind}.csv", text)
        lines = options.pop("lines", None)
        if lines is not None:
            options["lines_file"] = lines if isinstance(lines, Path) else self.write("lines.csv", lines)
        plan = Plan(kind, file, options.pop("source", "old"), **options)
        return await run(self.db, self.who, plan, dry_run=dry_run, progress=lambda a, b: self.steps.append((a, b)))

    def ask(self, question: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Ask a statement that names the org as its first parameter."""
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            return conn.execute(question, (self.who.org, *values)).fetchall()

    def count(self, *tables: str) -> Sequence[int]:
        return [self.ask(f"select count(*) from crm.{table} where org_id = %s")[0][0] for table in tables]


async def sit_down(home: Home, db: Database, folder: Path, slug: str, **options: str) -> Desk:
    return Desk(home, db, await db.sign_in(auth.by_email(found_org(home, slug, **options))), folder)
