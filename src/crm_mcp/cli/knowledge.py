"""The org's knowledge base at the terminal: files become articles once a person approves."""

from pathlib import Path
from typing import Any, cast

import click

from .. import ids
from ..approvals.proposing import propose
from ..config import Settings
from ..crm.articles import LONGEST, Access
from ..errors import Refusal
from .session import database, listed, run, signed_in

TOOL = ("knowledge", "save_article")
WHY = "a person approves what everybody is told"
ENDINGS = (".md", ".markdown", ".txt", ".text")
_LISTED = """select coalesce(jsonb_agg(jsonb_build_object('id', 'art_' || a.id, 'title', a.title, 'access', a.access, 'roles', a.roles,
   'tags', a.tags, 'source', a.source, 'characters', length(a.body), 'changedAt', a.updated_at) order by a.id), '[]')
 from crm.articles a where a.org_id = %s and a.archived_at is null
  and (a.access = 'org' or %s = 'admin' or a.access = 'roles' and a.roles ? %s::text)"""
_WHO = click.option("--user", metavar="EMAIL", help="Who asks; else CRM_API_KEY says who.")
_ORG = click.option("--org", metavar="SLUG")


@click.group()
def kb() -> None:
    """The org's knowledge base, which search_documents searches."""


@kb.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_WHO
@_ORG
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag of all of them; may be given several times.")
@click.option(
    "--access", type=click.Choice(["org", "admin"]), help="Who reads them: everybody, unless said; or administrators."
)
@click.option(
    "--role", "roles", multiple=True, metavar="ROLE", help="Read by this role alone; may be given several times."
)
@click.option("--title", help="Else its first heading, else the file's name; for one file.")
def add(
    files: tuple[Path, ...],
    user: str | None,
    org: str | None,
    tags: tuple[str, ...],
    access: Access | None,
    roles: tuple[str, ...],
    title: str | None,
) -> None:
    """Propose Markdown and text files as articles; the same file again changes its article. A person approves each."""
    if access and roles:
        raise click.UsageError("Give --access or --role, not both.")
    if title and len(files) > 1:
        raise click.UsageError("--title goes with one file.")
    level: Access | None = "roles" if roles else access
    asked = [_asked(file, tags, level, roles, title) for file in files]
    for line in run(_propose(asked, user, org, "crm-mcp kb add")):
        click.echo(line)


@kb.command()
@click.argument("articles", nargs=-1, required=True, metavar="ID...")
@_WHO
@_ORG
def remove(articles: tuple[str, ...], user: str | None, org: str | None) -> None:
    """Propose that articles be taken out; a person approves each."""
    asked = [{"action": "archive", "article": article} for article in articles]
    for line in run(_propose(asked, user, org, "crm-mcp kb remove")):
        click.echo(line)


@kb.command("list")
@_WHO
@_ORG
@click.option("--json", "as_json", is_flag=True)
def list_(user: str | None, org: str | None, as_json: bool) -> None:
    """List the articles that you may read."""

    async def read() -> list[dict[str, Any]]:
        known = Settings()
        async with database(known, "crm_agent") as db:
            who = await signed_in(db, known, user, org)
            row = await db.definer(who.org, _LISTED, (who.org, who.role, who.role))
            return cast(list[dict[str, Any]], row[0]) if row else []

    def line(row: dict[str, Any]) -> str:
        readers = ", ".join(row["roles"]) or row["access"]
        return f"{row['id']:10} {row['characters']:7}  {readers:20} {row['title']}  {' '.join(f'#{t}' for t in row['tags'])}"

    listed(run(read()), as_json, line, "No articles.")


def _asked(
    file: Path, tags: tuple[str, ...], access: Access | None, roles: tuple[str, ...], title: str | None
) -> dict[str, Any]:
    """Return what is asked of the tool for a file.

    Raises:
        ClickException: it is no text that can be an article.
    """
    if file.suffix.lower() not in ENDINGS:
        raise click.ClickException(f"{file}: give Markdown or plain text ({', '.join(ENDINGS)}).")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not UTF-8 text.") from None
    if len(text) > LONGEST:
        raise click.ClickException(f"{file} has {len(text)} characters, an article {LONGEST} at most: divide it.")
    given = {"title": title or _title(text) or file.stem, "body": text, "source": file.name}
    given |= {"tags": list(tags)} if tags else {}
    given |= {"access": access} if access else {}
    return given | ({"roles": list(roles)} if roles else {})


def _title(text: str) -> str | None:
    """Return the first heading of a Markdown text."""
    for line in text.splitlines()[:50]:
        if line.startswith("# ") and line[2:].strip(" #"):
            return line[2:].strip(" #")[:400]
    return None


async def _propose(asked: list[dict[str, Any]], user: str | None, org: str | None, client: str) -> list[str]:
    said: list[str] = []
    known = Settings()
    async with database(known, "crm_agent") as db:
        who = await signed_in(db, known, user, org)
        for one in asked:
            name = one.get("source") or one["article"]
            try:
                held, did = await propose(
                    db, who, TOOL, {**one, "reason": f"{client} {name}"[:500]}, client=client, why=WHY
                )
            except Refusal as no:
                if no.error != "NOTHING_TO_CHANGE":
                    raise click.ClickException(f"{name}: {no.hint}") from None
                said.append(f"{name}: nothing has changed.")
                continue
            said.append(f"{ids.show('drafts', held.id)} waits for approval. It would {did}.")
    return said
