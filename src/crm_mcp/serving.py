"""`crm-mcp serve`: one client over stdio. Thin: no command-line library, no owner's or approver's secrets."""

import argparse
import asyncio
import gc
import secrets
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import auth, log
from .app import App, Client
from .catalog import CORE, QUERYING, Catalog, Narrowing
from .config import Settings
from .cursor import Cursors
from .db import Database
from .degraded import Degraded
from .embedding.choosing import Chosen, Embedders, Following, NameInvalid
from .principal import Agent
from .queries import Queries
from .rates import Rates
from .reaching import Connector, Doorbell, page_url, queries_of
from .tasks import Tasks
from .warming import check_reports, warm
from .working.keeping import Working

if TYPE_CHECKING:
    from .audit import Flusher
    from .reports.report import Report


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(
        prog="crm-mcp serve",
        allow_abbrev=False,
        description="Serve the CRM to one MCP client over stdio; with --http to many over HTTP, each by its API key.",
    )
    known.add_argument("--user", metavar="EMAIL", help="who is served (embedded database only)")
    known.add_argument("--org", metavar="SLUG", help="which org, for a person in several")
    known.add_argument("--agent", choices=[a.value for a in Agent], help="serve an agent that acts for the person")
    known.add_argument(
        "--toolsets",
        metavar="A,B",
        help="only these toolsets instead of the role's usual ones; all, or core: " + ", ".join(sorted(CORE)),
    )
    known.add_argument("--tools", metavar="A,B", help="these tools besides")
    known.add_argument("--exclude-tools", metavar="A,B", default="", help="not these tools")
    known.add_argument("--read-only", action="store_true", help="no tool that writes; wins over everything")
    known.add_argument("--no-doorbell", action="store_true", help="never ask the client to open a draft's page")
    over = known.add_argument_group("over HTTP", "The options above narrow what every client is served.")
    over.add_argument("--http", metavar="HOST:PORT", help="streamable HTTP at /mcp; keys as Authorization: Bearer")
    over.add_argument(
        "--allowed-host", metavar="NAME", action="append", default=[], help="another name it is reached by"
    )
    over.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificate chain, PEM")
    over.add_argument("--tls-key", metavar="FILE", type=Path, help="its key, PEM")
    over.add_argument(
        "--behind-proxy", action="store_true", help="only a proxy of yours, which speaks TLS, reaches it"
    )
    over.add_argument("--requests-per-minute", metavar="N", type=int, help="per key")
    return known


def narrowing(
    toolsets: str | None, tools: str | None, excluded: str, read_only: bool, *, has_queries: bool = True
) -> Narrowing:
    """Return what a client asked to see less of; who asks for nothing sees what is usual for their role."""
    wanted = None if toolsets is None else frozenset(_words(toolsets))
    without = frozenset([*_words(excluded), *(() if has_queries else QUERYING)])
    if wanted is not None and "all" in wanted:
        return Narrowing(None, None, without, read_only)
    if wanted is not None and "core" in wanted:
        wanted = (wanted - {"core"}) | CORE
    return Narrowing(
        wanted,
        None if tools is None else frozenset(_words(tools)),
        without,
        read_only,
        usual=wanted is None and tools is None,
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def working_of(settings: Settings, degraded: Degraded) -> Working:
    """Return what keeps working memory; an address that is none ends the command before anything is served."""
    if settings.redis_url is None:
        return Working(degraded)
    from .working.redis import RedisStore, RedisUrlInvalid

    try:
        return Working(degraded, RedisStore(settings.redis_url.get_secret_value()))
    except RedisUrlInvalid as wrong:
        parser().error(f"CRM_REDIS_URL: {wrong}")


def own_reports(settings: Settings) -> "tuple[Report, ...]":
    """Read the folder of own reports; what is wrong with one ends the command before anything is served."""
    folder = settings.reports or (settings.home / "reports" if settings.is_embedded else None)
    if folder is None or not (folder.is_dir() or settings.reports):
        return ()
    if not folder.is_dir():
        parser().error(f"CRM_REPORTS: {folder} is no folder")
    if find_spec("postgast") is None or not any(folder.glob("*.sql")):
        return ()
    from .reports.header import HeaderInvalid
    from .reports.own import of_folder

    try:
        return of_folder(folder)
    except HeaderInvalid as wrong:
        parser().error(f"{folder}: {wrong}")


def embedder_of(settings: Settings, degraded: Degraded) -> Following:
    """Return what makes vectors of texts; an unknown name ends the command before anything is served."""
    try:
        Chosen.of(settings.embedder)
    except NameInvalid as wrong:
        parser().error(f"CRM_EMBEDDER: {wrong}")
    return Following(Embedders(settings, degraded), settings.embedder)


def main(words: Sequence[str]) -> None:
    """Serve until the client closes its end."""
    known = parser()
    if {"-h", "--help"} & set(words):
        from .remote.limits import STATED

        known.epilog = STATED
    given, settings = known.parse_args(words), Settings()
    agent = Agent(given.agent) if given.agent else None
    if given.http is not None:
        _main_over_http(given, settings, agent)
        return
    if given.allowed_host or given.tls_cert or given.tls_key or given.behind_proxy or given.requests_per_minute:
        parser().error(
            "--allowed-host, --tls-cert, --tls-key, --behind-proxy and --requests-per-minute go with --http"
        )
    if (given.user or given.org) and (settings.api_key is not None or not settings.is_embedded):
        parser().error(
            "CRM_API_KEY says who is served; --user and --org work only on the embedded database without it "
            "(`crm-mcp keys create` makes a key)"
        )
    if settings.api_key is not None:
        proof = auth.by_key(settings.api_key.get_secret_value(), agent)
    elif not settings.is_embedded:
        parser().error("a real database needs CRM_API_KEY: `crm-mcp keys create` makes a key")
    elif given.user is None:
        parser().error("--user EMAIL is required with the embedded database")
    else:
        proof = auth.by_email(given.user, given.org, agent)
    ring = settings.open_browser if settings.is_embedded and given.user else "never"
    connector = Connector(settings)
    queries = queries_of(settings, lambda: app.db())
    catalog = Catalog(_narrowing(given, queries))
    page = page_url(settings)
    degraded = Degraded()
    embedder = embedder_of(settings, degraded)
    app = App(
        connector,
        catalog,
        Client(proof),
        page,
        queries=queries,
        reports=own_reports(settings),
        sync_reads=settings.audit_reads == "sync",
        rings=_rings(given, settings),
        announce=Doorbell(given.user or "", given.org, ring),
        rates=_rates(settings),
        embedder=embedder,
        degraded=degraded,
        working=working_of(settings, degraded),
    )
    try:
        asyncio.run(_serve(app, settings, embedder))
    finally:
        connector.release()


def _rates(settings: Settings) -> Rates:
    return Rates(settings.calls_per_minute, settings.agent_calls_per_minute)


def _rings(given: argparse.Namespace, settings: Settings) -> bool:
    return settings.doorbell != "never" and not given.no_doorbell


def _narrowing(given: argparse.Namespace, queries: Queries | None) -> Narrowing:
    return narrowing(
        given.toolsets, given.tools, given.exclude_tools, given.read_only, has_queries=queries is not None
    )


def _main_over_http(given: argparse.Namespace, settings: Settings, agent: Agent | None) -> None:
    """Serve many clients over HTTP until told to stop; what only they need is imported here."""
    from .remote import limits, listening

    if given.user or given.org:
        parser().error("over HTTP every client is known by its API key; leave --user and --org away")
    per_minute: int = limits.PER_MINUTE if given.requests_per_minute is None else given.requests_per_minute
    if per_minute < 1:
        parser().error("--requests-per-minute wants a number above zero")
    try:
        where = listening.place(
            given.http, tuple(given.allowed_host), given.tls_cert, given.tls_key, given.behind_proxy
        )
        listener = listening.listen(where)
    except listening.PlaceInvalid as problem:
        parser().error(str(problem))
    log.configure(settings.log_level)
    connector = Connector(settings, size=limits.AT_ONCE)
    check_reports()
    reports = own_reports(settings)
    page, cursors, keeps = page_url(settings), Cursors(secrets.token_bytes(32)), dict[str, Any]()
    tasks, degraded = Tasks(), Degraded()
    working = working_of(settings, degraded)
    rings = _rings(given, settings)

    async def run() -> None:
        db = await connector()

        async def connect() -> Database:
            return db

        queries = queries_of(settings, connect)
        catalog = Catalog(_narrowing(given, queries))

        rates, embedder = _rates(settings), embedder_of(settings, degraded)

        def app_for(client: Client, flusher: "Flusher") -> App:
            is_sync = settings.audit_reads == "sync"
            return App(
                connect,
                catalog,
                client,
                page,
                cursors=cursors,
                keeps=keeps,
                sync_reads=is_sync,
                rings=rings,
                flusher=flusher,
                queries=queries,
                reports=reports,
                tasks=tasks,
                embedder=embedder,
                degraded=degraded,
                rates=rates,
                working=working,
            )

        gc.freeze()
        gc.enable()
        await listening.serve(where, listener, db, app_for, agent, per_minute)
        await tasks.close()
        await rates.close()
        await working.close()
        await embedder.close()
        if queries is not None:
            await queries.close()

    try:
        asyncio.run(run())
    finally:
        connector.release()


async def _serve(app: App, settings: Settings, embedder: Following) -> None:
    from .server import build_server
    from .stdio import stdio

    log.configure(settings.log_level)
    server = build_server(app)
    gc.freeze()
    gc.enable()
    early = asyncio.create_task(_sign_in_early(app))
    warming = asyncio.create_task(warm(app))
    async with stdio() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
    early.cancel()
    warming.cancel()
    await app.tasks.close()
    if app.rates is not None:
        await app.rates.close()
    if app.queries is not None:
        await app.queries.close()
    await app.close()
    await embedder.close()


async def _sign_in_early(app: App) -> None:
    """Sign in while the client still introduces itself; what fails here is said on the first request."""
    try:
        await app.principal()
    except Exception as problem:
        log.logger().warning(
            "nobody is signed in yet", problem=type(problem).__name__, hint=getattr(problem, "hint", None)
        )
