"""`crm-mcp audit access`: who was given what, and when it was taken away again."""

import json
from typing import Any

import click

from ..config import Settings
from .membership import org_of
from .session import listed, owner

_ROWS = """select o.slug, l.org_id, l.at, l.login, l.what, u.email, l.record, l.before, l.after from crm.access_log l
 left join crm.orgs o on o.id = l.org_id left join crm.users u on u.id = l.person
 where %(org)s::bigint is null or l.org_id = %(org)s order by l.at, l.id"""
_NAMES = ("org", "orgId", "at", "login", "what", "person", "number", "before", "after")


@click.command()
@click.option("--org", metavar="SLUG", help="Only of this org.")
@click.option("--json", "as_json", is_flag=True)
def access(org: str | None, as_json: bool) -> None:
    """List who was given access by which login, and what was changed or ended: memberships, keys, invitations,
    passkeys, sessions of the approvals page, orgs, tables of an org's own, budgets of models."""
    with owner(Settings()) as conn:
        which = org_of(conn, org).id if org is not None else None
        rows: list[dict[str, Any]] = [
            dict(zip(_NAMES, row, strict=True)) for row in conn.execute(_ROWS, {"org": which}).fetchall()
        ]

    def line(row: dict[str, Any]) -> str:
        about = row["person"] or (f"{row['org'] or row['orgId']}" if row["what"].startswith("org ") else "")
        if row["what"] in ("own table made", "own table removed"):
            about = _relation(row["after"] or row["before"])
        if row["what"] in ("budget made", "budget removed"):
            about = _budget(row["after"] or row["before"], row["person"])
        number = f" {row['number']}" if row["what"].startswith(("key ", "passkey ", "own table ")) else ""
        return (
            f"{row['at']:%Y-%m-%d %H:%M:%S%z} {row['org'] or row['orgId']!s:12} {row['login']:13} "
            f"{row['what']}{number} {about} {_difference(row['before'], row['after'])}"
        ).rstrip()

    listed(rows, as_json, line, "Nothing is recorded yet.")


def _relation(kept: dict[str, Any]) -> str:
    roles = ", ".join(kept["roles"])
    return f"{kept['type']}.{kept['name']} ({kept['schema_name']}.{kept['table_name']}) for {roles}"


def _budget(kept: dict[str, Any], person: str | None) -> str:
    whose = person or {"user": "everybody"}.get(kept["scope"], kept["scope"])
    limits = (f"{name} {kept[name]}" for name in ("tokens", "money", "warn_at") if kept[name] is not None)
    return f"{whose}: {', '.join(limits)}"


def _difference(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """Return what was changed, from what to what; of what is new, nothing: the listing in JSON has it whole."""
    if before is None or after is None:
        return ""
    told = (f"{name} {json.dumps(before.get(name))} → {json.dumps(after[name])}" for name in after)
    return "; ".join(told)
