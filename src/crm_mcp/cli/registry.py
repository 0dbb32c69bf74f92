"""The schema registry at the terminal: which tables of its own an org's agents may query, and what they mean."""

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click
import psycopg

from ..config import Settings
from ..errors import Refusal
from ..principal import Role
from ..query.own import register
from ..query.own.described import Document, parse, skeleton
from ..query.own.register import Asked, Listed
from .membership import org_of
from .session import listed, owner

_ROLES = tuple(role.value for role in Role)


@click.group()
def registry() -> None:
    """Tables and views of your own in the same database, for agents to query beside the CRM's."""


class Roles(click.ParamType[tuple[str, ...]]):
    """Roles with commas between."""

    name = "roles"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return cast("tuple[str, ...]", value)
        roles = tuple(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        if not roles or set(roles) - set(_ROLES):
            self.fail(f"{value!r}: give some of {', '.join(_ROLES)}, with commas between.", param, ctx)
        return roles


@registry.command()
@click.argument("table", metavar="SCHEMA.TABLE")
@click.option("--org", required=True, metavar="SLUG", help="Whose agents may query it.")
@click.option("--type", "type_", metavar="TYPE", help="What queries write before its name; else its schema.")
@click.option("--name", metavar="NAME", help="What queries call it; else its own name.")
@click.option("--org-column", metavar="COLUMN", help="Where the org's number stands; else org_id.")
@click.option("--org-value", metavar="VALUE", help="What stands there for this org, where it is not its number.")
@click.option("--whole", is_flag=True, help="All rows are of this org.")
@click.option("--roles", type=Roles(), default=("admin",), help="Who sees it, with commas between; else admin.")
@click.option("--without", multiple=True, metavar="COLUMN", help="Never shown. Again for more.")
@click.option(
    "--mask", multiple=True, metavar="COLUMN=ROLES", help="Not shown to these of the roles. Again for more."
)
@click.option("--description", metavar="TEXT", help="What it holds; else the comment on it.")
@click.option("--describe", multiple=True, metavar="COLUMN=TEXT", help="What a column holds. Again for more.")
@click.option(
    "--hints",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="All of that and more, as JSON: see `registry hints`.",
)
@click.option("--replace", is_flag=True, help="Instead of how it is registered already.")
def add(
    table: str, org: str, type_: str | None, name: str | None, org_column: str | None, org_value: str | None, whole: bool,
    roles: tuple[str, ...], without: tuple[str, ...], mask: tuple[str, ...], description: str | None,
    describe: tuple[str, ...], hints: Path | None, replace: bool,
) -> None:  # fmt: skip
    """Let an org's agents query a table or view of its own, confined to the rows of that org.

    A table gets row level security for queries, where it has none also a policy by which other logins see and write what they
    did before. A view must run with the rights of who asks (security_invoker), over tables that are registered. Whatever
    cannot be confined is refused, with the reason.
    """
    if whole and (org_column or org_value):
        raise click.UsageError("Give --whole or --org-column, not both.")
    with _refusing():
        said = parse(hints.read_text(encoding="utf-8")) if hints is not None else Document()
        masked = {column: Roles().convert(roles, None, None) for column, roles in _pairs(mask, "--mask")}
        said = said.with_more(description=description, columns=dict(_pairs(describe, "--describe")), masked=masked)
        with owner(Settings()) as conn:
            found = org_of(conn, org)
            register.begin(conn)
            schema, called = register.names_of(conn, table)
            asked = Asked(schema, called, type_, name, org_column, org_value, whole, roles, without, said)
            entry, undescribed = register.add(conn, found.id, asked, replace=replace)
            now = next(one for one in register.listed(conn, found.id) if one.entry.id == entry.id)
            if now.fault is not None:
                raise Refusal("NOT_REGISTERED", f"It cannot be confined: {now.fault}.")
    click.echo(f"{entry.label} can be queried by {', '.join(entry.roles)} of {org}: {len(entry.columns)} columns.")
    if undescribed:
        click.echo(f"Not described: {', '.join(undescribed)}. Say what they hold with --describe or --hints.")
    if entry.kind == "table" and not now.is_backed_up:
        click.echo("`crm-mcp backup` does not hold it: its schema is not crm_owner's.")


@registry.command("list")
@click.option("--org", metavar="SLUG", help="Only of this org.")
@click.option("--json", "as_json", is_flag=True)
def list_(org: str | None, as_json: bool) -> None:
    """List what is registered, by org, and what is wrong with it: a table with a fault cannot be queried."""
    with owner(Settings()) as conn:
        which = org_of(conn, org).id if org is not None else None
        rows = [_row(one) for one in register.listed(conn, which)]

    def line(row: dict[str, Any]) -> str:
        whose = f"{row['orgColumn']}={row['orgValue'] or 'org'}" if row["orgColumn"] else "whole"
        state = f"CLOSED: {row['fault']}" if row["fault"] else "ok"
        return (
            f"{row['org']:12} {row['label']:30} {row['relation']:34} {whose:18} {','.join(row['roles']):20} {state}"
        )

    listed(rows, as_json, line, "Nothing is registered: `crm-mcp registry add SCHEMA.TABLE --org SLUG`.")


def _row(one: Listed) -> dict[str, Any]:
    entry = one.entry
    told = {name: value for name, value in entry.hint.items() if name != "columns"}
    return {
        "org": one.org,
        "label": entry.label,
        "relation": f"{entry.schema}.{entry.table}",
        "kind": entry.kind,
        "orgColumn": entry.org_column,
        "orgValue": entry.org_value,
        "roles": list(entry.roles),
        "description": entry.description,
        "columns": entry.hint["columns"],
        "hints": told,
        "since": one.since,
        "backedUp": one.is_backed_up,
        "fault": one.fault,
    }


@registry.command()
@click.option("--org", required=True, metavar="SLUG")
@click.argument("label", metavar="TYPE.NAME")
def remove(org: str, label: str) -> None:
    """End it: the views, policies and rights that registering made go, and nothing else."""
    with _refusing(), owner(Settings()) as conn:
        found = org_of(conn, org)
        register.begin(conn)
        entry, left = register.remove(conn, found.id, label)
    click.echo(f"{entry.label} is no longer registered. {entry.schema}.{entry.table} is as it was.")
    for one in left:
        click.echo(f"But {one}.")


@registry.command("hints")
@click.argument("table", metavar="SCHEMA.TABLE")
@click.option("--org", required=True, metavar="SLUG", help="Whose other tables it may point to.")
def hints_(table: str, org: str) -> None:
    """Print a document for `registry add --hints`, filled in with what the database says: go on from there."""
    with _refusing(), owner(Settings()) as conn:
        found = org_of(conn, org)
        schema, called = register.names_of(conn, table)
        document = skeleton(register.seen(conn, schema, called), register.pointed_at(conn, found.id))
    click.echo(json.dumps(document.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1))


def _pairs(given: Iterable[str], option: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.BadParameter(f"{text!r} is not COLUMN=…", param_hint=option)
        pairs.append((name.strip(), value.strip()))
    return pairs


@contextmanager
def _refusing() -> Generator[None]:
    """Turn an expected no into a sentence; what the driver says stays away."""
    try:
        yield
    except Refusal as no:
        raise click.ClickException(no.hint) from None
    except psycopg.errors.LockNotAvailable:
        raise click.ClickException(
            "The table, or the registry, is in use just now. Nothing was changed; try again."
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise click.ClickException(
            "crm_owner may not do that there. Nothing was changed; `crm-mcp doctor` says what is missing."
        ) from None
