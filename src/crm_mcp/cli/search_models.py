"""The models behind search: one built beside the one that answers, compared with it, switched to, and back."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg

from ..config import Settings
from ..db import Database
from ..embedding.choosing import Chosen, Embedders, Missing, NameInvalid
from ..embedding.embedder import EmbedderAway
from ..search import comparing, models
from ..search.comparing import Compared, Question
from ..search.models import Built, Known, ModelRefused
from ..search.vectors import Keeper
from .session import conninfo, database, listed, owner, run

LEAST = {True: 0.2, False: 0.3}
"""The cosine below which a passage is not like a query: by meaning, by spelling."""
SAMPLE = "Does the warranty cover a broken hinge?"
"""A text that says how long the vectors of a model are."""


@click.group("models")
def models_() -> None:
    """What compares texts: ngrams-1 (spelling), fastembed:MODEL, openai:MODEL. One answers, others are built beside it."""


@contextmanager
def _refused() -> Generator[None]:
    try:
        yield
    except ModelRefused as problem:
        raise click.ClickException(str(problem)) from None
    except psycopg.errors.LockNotAvailable:
        raise click.ClickException("It is in use just now. Try again.") from None


def _row(model: Known, counted: Built) -> dict[str, Any]:
    return {
        "name": model.name,
        "state": model.state,
        "compares": "meaning" if model.is_semantic else "spelling",
        "dimensions": model.dimensions,
        "least": round(model.least, 4),
        "passages": counted.passages,
        "built": counted.built,
        "share": int(counted.share * 10_000) / 10_000,
        "waitsSince": counted.waits_since,
        "createdAt": model.created_at,
        "switchedAt": model.switched_at,
    }


def _line(row: dict[str, Any]) -> str:
    waits = f", {row['passages'] - row['built']:,} wait" if row["built"] < row["passages"] else ""
    share = f"{int(row['share'] * 1000) / 10:g} %"
    return f"{row['name']:44} {row['state']:9} {row['compares']:9} {row['dimensions']:5}  {share} of {row['passages']:,} passages{waits}"


@models_.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """List the models, which one answers, and how much of each is built."""
    with owner(Settings()) as conn:
        rows = [_row(one, models.built(conn, one)) for one in models.known(conn)]
    listed(rows, as_json, _line, "There is none.")


@models_.command()
@click.argument("name")
@click.option("--least", type=click.FloatRange(0, 1), help="The cosine below which a passage is not like a query.")
@click.option("--no-build", is_flag=True, help="Leave the building to the worker.")
@click.option("--json", "as_json", is_flag=True)
def add(name: str, least: float | None, no_build: bool, as_json: bool) -> None:
    """Add a model and build its vectors beside those of the one that answers; interrupted, the worker builds on."""
    known = Settings()
    embedders = Embedders(known)

    async def sampled() -> int:
        try:
            return len((await embedders.of(name).embed([SAMPLE], "document"))[0])
        except EmbedderAway:
            raise click.ClickException(_why_away(embedders, name)) from None
        finally:
            await embedders.close()

    try:
        Chosen.of(name)
    except NameInvalid as problem:
        raise click.ClickException(str(problem)) from None
    dimensions = run(sampled())
    if dimensions > 4000:
        raise click.ClickException(f"{name} gives {dimensions} dimensions; an index takes 4,000 at most.")
    is_semantic = embedders.of(name).is_semantic
    with _refused(), owner(known) as conn:
        models.add(conn, name, dimensions, is_semantic, LEAST[is_semantic] if least is None else least)
        counted = models.built(conn, models.named(conn, name))
    if not no_build and (known.is_embedded or known.worker_url is not None):
        run(_build(known, name, counted, quiet=as_json))
    with owner(known) as conn:
        model = models.named(conn, name)
        row = _row(model, models.built(conn, model))
    if as_json:
        click.echo(json.dumps(row, default=str, indent=1))
        return
    click.echo(_line(row))
    left = row["passages"] - row["built"]
    click.echo("The worker builds it on." if left else f"`crm-mcp search models switch {name}` lets it answer.")


async def _build(known: Settings, name: str, counted: Built, *, quiet: bool) -> None:
    embedders = Embedders(known)
    try:
        async with database(known, "crm_worker") as db:
            with click.progressbar(length=counted.lacking, label="Building", hidden=quiet) as bar:
                await Keeper(db, embedders, asyncio.sleep).build(name, bar.update)
    except EmbedderAway:
        click.echo(_why_away(embedders, name), err=True)
    finally:
        await embedders.close()


def _why_away(embedders: Embedders, name: str) -> str:
    embedder = embedders.of(name).embedder
    why = (
        embedder.why
        if isinstance(embedder, Missing)
        else "see the log lines above, and CRM_EMBEDDER_PATH, _URL and _KEY"
    )
    return f"{name} gives no vectors: {why}"


@models_.command()
@click.argument("one")
@click.argument("other")
@click.option("--org", required=True, metavar="SLUG", help="In whose texts.")
@click.option(
    "--queries",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A query a line; behind a tab, ids that answer it. Else what was asked in the org.",
)
@click.option("--best", type=click.IntRange(1, 50), default=10, help="How many records of each query.")
@click.option("--json", "as_json", is_flag=True)
def compare(one: str, other: str, org: str, queries: Path | None, best: int, as_json: bool) -> None:
    """Ask two models the same: how far they agree, where they differ, how much each finds of what is known to answer."""
    known = Settings()
    with _refused(), owner(known) as conn:
        for name in (one, other):
            models.named(conn, name)
        found = conn.execute("select id from crm.orgs where slug = %s", (org,)).fetchone()
        if found is None:
            raise click.ClickException(f"There is no org {org!r}.")
        if queries is not None:
            asked = _read(queries)
        else:
            asked = [
                Question(row[0]) for row in conn.execute(comparing.STORED, (found[0], comparing.MOST)).fetchall()
            ]
    if not asked:
        raise click.ClickException(
            "There is nothing to ask: nobody has searched here yet. Give a file with --queries."
        )
    rows = run(_compared(known, int(found[0]), (one, other), asked, best))
    if as_json:
        click.echo(json.dumps(_summary(rows, one, other, best), ensure_ascii=False, indent=1))
    else:
        _show(rows, one, other, best)


def _read(file: Path) -> list[Question]:
    try:
        return comparing.questions(file.read_text(encoding="utf-8"))
    except (comparing.QuestionsInvalid, UnicodeDecodeError) as problem:
        raise click.ClickException(f"{file}: {problem}") from None


async def _compared(
    known: Settings, org: int, names: tuple[str, str], asked: list[Question], best: int
) -> list[Compared]:
    embedders = Embedders(known)
    db = Database(conninfo(known, "crm_worker"))
    try:
        return await comparing.compare(db, org, (embedders.of(names[0]), embedders.of(names[1])), asked, best)
    except EmbedderAway:
        raise click.ClickException(" or ".join(_why_away(embedders, name) for name in names)) from None
    finally:
        await db.close()
        await embedders.close()


def _summary(rows: list[Compared], one: str, other: str, best: int) -> dict[str, Any]:
    labelled = [row for row in rows if row.question.expected]
    recalls = {
        name: round(sum(row.recall(getattr(row, which)) for row in labelled) / len(labelled), 4) if labelled else None
        for name, which in ((one, "one"), (other, "other"))
    }
    return {
        "queries": len(rows),
        f"overlap@{best}": round(sum(row.overlap for row in rows) / len(rows), 4),
        f"recall@{best}": recalls,
        "labelled": len(labelled),
        "differing": [
            {
                "query": row.question.query,
                "overlap": round(row.overlap, 4),
                one: [found for found in row.one if found not in row.other],
                other: [found for found in row.other if found not in row.one],
            }
            for row in sorted(rows, key=lambda row: row.overlap)
            if {*row.one} != {*row.other}
        ],
    }


def _show(rows: list[Compared], one: str, other: str, best: int) -> None:
    told = _summary(rows, one, other, best)
    click.echo(f"{told['queries']} queries, overlap@{best} {told[f'overlap@{best}']:.2f}")
    if told["labelled"]:
        for name, recall in told[f"recall@{best}"].items():
            click.echo(f"recall@{best} {recall:.2f}  {name}  ({told['labelled']} labelled queries)")
    for row in told["differing"][:20]:
        click.echo(f"\n{row['overlap']:.2f}  {row['query']}")
        for name in (one, other):
            click.echo(f"      only {name}: {', '.join(row[name]) or 'nothing'}")


@models_.command()
@click.argument("name")
@click.option(
    "--force", is_flag=True, help="Although passages lack a vector: they are found by words alone until it is built."
)
@click.option("--json", "as_json", is_flag=True)
def switch(name: str, force: bool, as_json: bool) -> None:
    """Let a model answer from the next query on; the one that did before stays for `rollback`."""
    with _refused(), owner(Settings()) as conn:
        former, counted = models.switch(conn, name, forced=force)
    _tell(name, former, counted, as_json)


@models_.command()
@click.option("--json", "as_json", is_flag=True)
def rollback(as_json: bool) -> None:
    """Let the model answer again that did before; what changed since then is embedded by the worker."""
    with _refused(), owner(Settings()) as conn:
        name, former, counted = models.rollback(conn)
    _tell(name, former, counted, as_json)


def _tell(name: str, former: str, counted: Built, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"live": name, "before": former, "passages": counted.passages, "built": counted.built}))
        return
    click.echo(f"{name} answers now; {former} did before.")
    if counted.lacking:
        click.echo(f"{counted.lacking:,} of {counted.passages:,} passages lack a vector: the worker builds on.")


@models_.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def remove(name: str, as_json: bool) -> None:
    """Forget a model that does not answer, and its vectors."""
    with _refused(), owner(Settings()) as conn:
        models.remove(conn, name)
    click.echo(json.dumps({"removed": name}) if as_json else f"Removed {name} and its vectors.")
