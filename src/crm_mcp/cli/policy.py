"""The org's policy at the terminal: shown, compared, and proposed to be changed; never changed at once."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from ..config import Settings
from ..db import Database
from ..errors import Refusal
from ..ids import show as shown_id
from ..policy import IN_FORCE, approving_in_words, in_words
from ..policy_document import Change, Policy, difference, meaning
from ..principal import Principal
from .session import database, run, signed_in

_ORG = "select id from crm.orgs where slug = %s"
_CURRENCY = "select base_currency from crm.orgs where id = %s"
_EDITION = """select p.edition, p.document from crm.policies p where p.org_id = %s and p.edition = %s
 union all select 1, crm.policy_before(%s, 2) where %s = 1"""
_LOOSENED = "select crm.policy_loosened(%s::jsonb, %s::jsonb)"
TOOL = ("settings", "update_policy")


@click.group()
def policy() -> None:
    """What runs at once, and what a person must approve."""


async def _org_of(db: Database, known: Settings, user: str | None, org: str | None) -> int:
    """Return whose policy is meant: the org of who asks, or the one that is named."""
    if user is None and known.api_key is None and org is not None:
        found = await db.unbound(_ORG, (org,))
        if found is None:
            raise click.ClickException(f"There is no org {org!r}.")
        return int(found)
    return (await signed_in(db, known, user, org)).org


async def _of(work: Callable[[Database, int], Awaitable[Any]], user: str | None, org: str | None) -> Any:
    known = Settings()
    async with database(known, "crm_agent") as db:
        return await work(db, await _org_of(db, known, user, org))


async def _in_force(db: Database, org: int) -> Policy:
    return Policy.in_force(await db.definer(org, IN_FORCE, (org,)))


@policy.command()
@click.option("--user", metavar="EMAIL", help="Whose org's; else --org, or CRM_API_KEY.")
@click.option("--org", metavar="SLUG")
@click.option("--json", "as_json", is_flag=True)
def show(user: str | None, org: str | None, as_json: bool) -> None:
    """Show the policy in force: its settings, its rules, and who approves."""

    async def read(db: Database, org: int) -> tuple[Policy, str]:
        row = await db.definer(org, _CURRENCY, (org,))
        return await _in_force(db, org), str(row[0]) if row else ""

    now, currency = run(_of(read, user, org))
    rules, approving = in_words(now, currency), approving_in_words(now, currency)
    if as_json:
        words = {"rules": [rule._asdict() for rule in rules], "whoApproves": approving}
        click.echo(json.dumps({"edition": now.version, "document": now.document(), **words}, indent=1))
        return
    click.echo(f"Edition {now.version}\n")
    for key, value in now.settings().items():
        click.echo(f"{key:34} {value:12} {meaning(key)}")
    click.echo("\nThe first of these that applies decides:")
    for rule in rules:
        click.echo(f"  {rule.writes}: {rule.verdict}")
    click.echo("\nWho approves what is held:")
    for line in approving:
        click.echo(f"  {line}")


@policy.command("set")
@click.option("--user", metavar="EMAIL", help="Who proposes it: an administrator. Else CRM_API_KEY.")
@click.option("--org", metavar="SLUG")
@click.option("--reason", required=True, help="Why; whoever approves reads it.")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
def set_(user: str | None, org: str | None, reason: str, settings: tuple[str, ...]) -> None:
    """Propose other values; an empty one is the standard. Nothing changes before an administrator approves it."""
    from ..approvals.proposing import propose

    asked = dict(_pair(text) for text in settings)
    if len(asked) < len(settings):
        raise click.BadParameter("each key once", param_hint="KEY=VALUE")
    known = Settings()

    async def work() -> tuple[int, str]:
        async with database(known, "crm_agent") as db:
            who: Principal = await signed_in(db, known, user, org)
            why = "the policy changes only with a person"
            given = {"settings": asked, "reason": reason}
            held, did = await propose(db, who, TOOL, given, client="crm-mcp policy set", why=why)
            return held.id, did

    draft, did = run(work())
    click.echo(f"Nothing has changed yet. {shown_id('drafts', draft)} would {did}.")
    click.echo("An administrator approves it on the approvals page: crm-mcp open --user EMAIL")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="KEY=VALUE")
    return key.strip(), value.strip()


@policy.command()
@click.option("--user", metavar="EMAIL", help="Whose org's; else --org, or CRM_API_KEY.")
@click.option("--org", metavar="SLUG")
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A document as JSON."
)
@click.option("--json", "as_json", is_flag=True)
@click.argument("version", type=click.IntRange(min=1), required=False)
def diff(user: str | None, org: str | None, file: Path | None, as_json: bool, version: int | None) -> None:
    """Show what changed since an edition (else since the one before), or what a document would change."""
    if file is not None and version is not None:
        raise click.UsageError("Give an edition or a file, not both.")

    async def read(db: Database, org: int) -> tuple[Policy, Policy, list[str]]:
        now = await _in_force(db, org)
        if file is not None:
            before, after = now, _document(file, now.version)
        else:
            before, after = await _edition(db, org, version or max(1, now.version - 1)), now
        documents = json.dumps(before.document()), json.dumps(after.document())
        row = await db.definer(org, _LOOSENED, documents)
        return before, after, list(row[0]) if row else []

    before, after, loosened = run(_of(read, user, org))
    changes = difference(before, after)
    if as_json:
        rows = [{**one._asdict(), "loosens": one.setting in loosened} for one in changes]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif not changes:
        click.echo("Nothing differs.")
    for one in changes if not as_json else []:
        click.echo(_line(one, one.setting in loosened))


def _line(one: Change, loosens: bool) -> str:
    return f"{one.setting:34} {one.before or 'unsaid'} -> {one.after or 'unsaid'}{'  (loosens)' if loosens else ''}"


async def _edition(db: Database, org: int, version: int) -> Policy:
    row = await db.definer(org, _EDITION, (org, version, org, version))
    if row is None:
        raise click.ClickException(f"There is no edition {version}.")
    return Policy.in_force(row)


def _document(file: Path, version: int) -> Policy:
    try:
        return Policy.of(version, json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError):
        raise click.ClickException(f"{file} is no JSON document.") from None
    except Refusal as no:
        raise click.ClickException(no.hint) from None
