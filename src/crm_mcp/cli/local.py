"""The local home: the approvals page with its worker, the embedded database, the demo."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from typing import Any

import click
from starlette.responses import PlainTextResponse

from .. import embedded
from ..approvals.whereabouts import IDENTITY, Whereabouts
from ..config import Settings, has_desktop
from ..db import Database
from ..embedded import Home
from ..embedded.locks import FileLock
from .session import conninfo, database, lease, run

LINGER = 900
"""Seconds without a request after which a page that nobody started by hand stops."""


@click.command()
@click.option("--port", type=int, help="Listen here; else the stored port, else 8787 or the next free one.")
@click.option("--linger", type=float, hidden=True, help="Stop after this many seconds without a request.")
def up(port: int | None, linger: float | None) -> None:
    """Run the approvals page and the worker until interrupted."""
    known = Settings()
    held = lease(known)
    with FileLock(known.home / "approvals.lock") as ours:
        if not ours.try_hold():
            click.echo(f"The approvals page is already at {Whereabouts.read(known.home).origin}.")
            return
        listener = _listen(port or Whereabouts.read(known.home).port)
        here = Whereabouts.new(f"http://localhost:{listener.getsockname()[1]}")
        here.write(known.home)
        with suppress(KeyboardInterrupt):
            run(_serve_page(known, listener, here, linger))
    if held is not None:
        held.close()


async def _serve_page(known: Settings, listener: socket.socket, here: Whereabouts, linger: float | None) -> None:
    import uvicorn

    from ..approvals.live import STREAM, Live
    from ..approvals.web import build_page
    from ..news import News

    db, news = Database(conninfo(known, "crm_approver")), News(conninfo(known, "crm_approver"))
    origin, live = (known.approvals_url or here.origin).rstrip("/"), Live(db, news)
    page = build_page(db, origin=origin, live=live)
    touched = time.monotonic()

    async def front(scope: Any, receive: Any, send: Any) -> None:
        nonlocal touched
        if scope["type"] == "http" and scope["path"] == IDENTITY:
            await PlainTextResponse(here.word)(scope, receive, send)
            return
        if scope.get("path") != STREAM:  # a page that is left open asks again by itself
            touched = time.monotonic()
        await page(scope, receive, send)

    async def stop_when_idle(patience: float) -> None:
        left = patience
        while left > 0:
            await asyncio.sleep(left)
            left = touched + patience - time.monotonic()
        server.should_exit = True

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: Any = None) -> None:
            live.close()
            await super().shutdown(sockets)

    server = Server(
        uvicorn.Config(
            front,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )
    )
    words = [sys.executable, "-P", "-m", "crm_mcp", "worker", "--watch", str(os.getpid())]
    work = await asyncio.create_subprocess_exec(*words, stdin=subprocess.DEVNULL)
    watch = asyncio.create_task(stop_when_idle(linger)) if linger else None
    click.echo(f"The approvals page is at {origin}; `crm-mcp open --user EMAIL` signs you in.")
    try:
        await server.serve(sockets=[listener])
    finally:
        if watch:
            watch.cancel()
        with suppress(ProcessLookupError):
            work.terminate()
        await work.wait()
        await news.close()
        await db.close()


def _listen(port: int) -> socket.socket:
    """Bind the port on loopback, or another free one where somebody else has it."""
    for candidate in (port, *range(8787, 8837), 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
        except OSError:
            listener.close()
            continue
        listener.listen(128)
        return listener
    raise click.ClickException("No port is free on the loopback address.")


@click.command()
@click.option("--force", is_flag=True, help="Even while clients use it; they reconnect and start it again.")
def down(force: bool) -> None:
    """Stop the embedded database."""
    try:
        embedded.stop(Home(Settings().home), force=force)
    except embedded.EmbeddedUnavailable as problem:
        raise click.ClickException(str(problem)) from None
    click.echo("Stopped.")


@click.command()
@click.option("--json", "as_json", is_flag=True)
def status(as_json: bool) -> None:
    """Say what runs."""
    known = Settings()
    state, page = embedded.status(Home(known.home)), Whereabouts.read(known.home)
    shown = {
        "home": str(known.home),
        "database": "running" if state.running else "stopped",
        "pid": state.pid,
        "inUse": state.leases_held,
        "revision": state.recorded.revision if state.recorded else None,
        "approvalsPage": page.origin if page.answers() else None,
    }
    if as_json:
        click.echo(json.dumps(shown, indent=1))
    else:
        for name, value in shown.items():
            click.echo(f"{name}: {'-' if value is None else value}")


def ensure_page(known: Settings) -> str:
    """Start the page in the background where it does not run; return its address."""
    if known.approvals_url:
        return known.approvals_url.rstrip("/")
    if not Whereabouts.read(known.home).answers():
        subprocess.Popen(
            [sys.executable, "-P", "-m", "crm_mcp", "up", "--linger", str(LINGER)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 30
        while not Whereabouts.read(known.home).answers():
            if time.monotonic() > until:
                raise click.ClickException("The approvals page did not start; run `crm-mcp up` to see why.")
            time.sleep(0.1)
    return Whereabouts.read(known.home).origin


@click.command("open")
@click.option("--user", required=True, metavar="EMAIL", help="Whom to sign in.")
@click.option("--org", metavar="SLUG")
@click.option("--draft", metavar="DRAFT", help="Go to this draft.")
@click.option("--quiet", is_flag=True, help="Say nothing; without a desktop, only see that the page runs.")
def open_page(user: str, org: str | None, draft: str | None, quiet: bool) -> None:
    """Open the approvals page, signed in by a one-time link that is never printed."""
    known = Settings()
    origin = ensure_page(known)
    if quiet and not has_desktop():
        return

    async def link() -> str:
        from ..approvals.links import make_login_link

        async with database(known, "crm_approver") as db:
            return await make_login_link(db, user, org, origin, then=f"/drafts/{draft}" if draft else None)

    url = run(link())
    if not webbrowser.open(url):
        raise click.ClickException(f"No browser could be opened here. The page is at {origin}.")
    if not quiet:
        click.echo(f"Opened {origin} for {user}.")


@click.command(hidden=True)
@click.option("--watch", type=int, help="Stop when this process is no longer the parent.")
@click.option("--once", is_flag=True)
def worker(watch: int | None, once: bool) -> None:
    """Expire drafts, clear what was kept for a while, seal the audit, deliver e-mails: as crm_worker."""
    from ..delivery.server import Server, SmtpUrlInvalid
    from ..worker import work

    known = Settings()
    try:
        server = Server.of(known.smtp_url.get_secret_value()) if known.smtp_url else None
    except SmtpUrlInvalid as problem:
        raise click.ClickException(str(problem)) from None

    def is_over() -> bool:
        return once or (watch is not None and os.getppid() != watch)

    async def main() -> None:
        login = conninfo(known, "crm_worker")
        db = Database(login)
        try:
            await work(db, login, server, known.home, known.audit_sink, is_over)
        finally:
            await db.close()

    with suppress(KeyboardInterrupt):
        run(main())


@click.command()
def demo() -> None:
    """Load the demo org and show a day of it: a held order, an approval on the page, a report that changes by it."""
    from ..demo import load
    from ..demo.tour import tour

    known = Settings()
    if not known.is_embedded:
        raise click.ClickException("The demo org lives only in the embedded database; unset CRM_DATABASE_URL.")

    async def day() -> None:
        click.echo("Starting the embedded database and loading the demo org …")
        async with database(known, "crm_approver") as db:
            await load(conninfo(known, "crm_owner"), db)
            await tour(db, ensure_page(known), known, click.echo)

    run(day())
