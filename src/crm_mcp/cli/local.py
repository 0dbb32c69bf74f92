"""The local home: the approvals page with its worker, the embedded database, the demo."""

import asyncio
import json
import os
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from starlette.responses import PlainTextResponse

from .. import embedded
from ..approvals.whereabouts import IDENTITY, Whereabouts
from ..config import Settings, has_desktop
from ..db import Database
from ..embedded import Home
from ..embedded.locks import FileLock
from .hosting import Seat, seat
from .mailing import mailer_of
from .session import conninfo, database, lease, run
from .working import agents_of

if TYPE_CHECKING:
    from ..telling.webhook import Hook

_FILE = click.Path(dir_okay=False, path_type=Path)
LINGER = 900
"""Seconds without a request after which a page that nobody started by hand stops."""


@click.command()
@click.option("--port", type=int, help="Listen here; else the stored port, else 8787 or the next free one.")
@click.option(
    "--bind", metavar="HOST:PORT", help="Listen there, for people on other machines: with TLS, here or before."
)
@click.option(
    "--tls-cert",
    type=_FILE,
    help="The certificate with its chain, in PEM, read again when it changes; else CRM_TLS_CERT.",
)
@click.option("--tls-key", type=_FILE, help="Its key, in PEM; else CRM_TLS_KEY.")
@click.option("--linger", type=float, hidden=True, help="Stop after this many seconds without a request.")
@click.option(
    "--notify", multiple=True, metavar="EMAIL", help="Show this person, who sits here, a notification of what waits."
)
def up(
    port: int | None,
    bind: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    linger: float | None,
    notify: tuple[str, ...],
) -> None:
    """Run the approvals page and the worker until interrupted."""
    given = {"tls_cert": tls_cert, "tls_key": tls_key}
    known = Settings().model_copy(update={name: path for name, path in given.items() if path is not None})
    held = lease(known)
    known.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(known.home / "approvals.lock") as ours:
        if not ours.try_hold():
            click.echo(f"The approvals page is already at {Whereabouts.read(known.home).origin}.")
            return
        taken = seat(known, port, bind)
        here = Whereabouts.new(taken.origin, taken.at)
        here.write(known.home)
        with suppress(KeyboardInterrupt):
            run(_serve_page(known, taken, here, linger, notify))
    if held is not None:
        held.close()


async def _serve_page(
    known: Settings, taken: Seat, here: Whereabouts, linger: float | None, notify: Sequence[str]
) -> None:
    import uvicorn

    from ..approvals.live import STREAM, Live
    from ..approvals.web import build_page
    from ..tls import shown

    db = Database(conninfo(known, "crm_approver"))
    live = Live(db, db.news())
    page = build_page(db, origin=here.origin, mailer=mailer_of(known), live=live)
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
            await end_work()  # now: a SIGTERM that ended the server is raised again when it has ended, and ends us

    async def end_work() -> None:
        with suppress(ProcessLookupError):
            work.terminate()
        await work.wait()

    server = Server(
        uvicorn.Config(
            front,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            # whoever connects is the peer: no header of a proxy says otherwise
            proxy_headers=False,
            ssl_context_factory=shown(*taken.tls) if taken.tls else None,
        )
    )
    words = [sys.executable, "-P", "-m", "crm_mcp", "worker", "--watch", str(os.getpid())]
    words += [f"--notify={email}" for email in notify]
    work = await asyncio.create_subprocess_exec(*words, stdin=subprocess.DEVNULL)
    watch = asyncio.create_task(stop_when_idle(linger)) if linger else None
    signs_in = "`crm-mcp open --user EMAIL` signs you in" if known.is_embedded else f"sign in at {here.origin}/login"
    click.echo(f"The approvals page is at {here.origin}; {signs_in}.")
    try:
        await server.serve(sockets=[taken.listener])
    finally:
        if watch:
            watch.cancel()
        await end_work()
        await db.close()


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


def notice_hook(known: Settings) -> "Hook | None":
    """Return the configured webhook.

    Raises:
        HookInvalid: it is none.
    """
    from ..telling.webhook import Hook

    secret = known.notice_secret.get_secret_value() if known.notice_secret else None
    return Hook.of(known.notice_webhook.get_secret_value(), secret) if known.notice_webhook else None


def ensure_page(known: Settings, user: str | None = None) -> str:
    """Start the page in the background where it does not run, for `user` at this desktop; return its address."""
    if known.approvals_url:
        return known.approvals_url.rstrip("/")
    if not Whereabouts.read(known.home).answers():
        subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "crm_mcp",
                "up",
                "--linger",
                str(LINGER),
                *([f"--notify={user}"] if user else []),
            ],
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
@click.option("--user", metavar="EMAIL", help="Whom to sign in; on a real database the page itself asks.")
@click.option("--org", metavar="SLUG")
@click.option("--draft", metavar="DRAFT", help="Go to this draft.")
@click.option("--quiet", is_flag=True, help="Say nothing; without a desktop, only see that the page runs.")
def open_page(user: str | None, org: str | None, draft: str | None, quiet: bool) -> None:
    """Open the approvals page, signed in by a one-time link that is never printed; on a real database at its door."""
    known = Settings()
    if not known.is_embedded and (user or org):
        raise click.ClickException(
            "On a real database an e-mail address alone signs nobody in. Leave --user and --org away: the page mails you "
            "a link, or an administrator makes one with `crm-mcp users link EMAIL`."
        )
    if known.is_embedded and user is None:
        raise click.UsageError("Say who: --user EMAIL.")
    origin = ensure_page(known, user)
    if quiet and not has_desktop():
        return

    then = f"/drafts/{draft}" if draft else None

    async def link(email: str) -> str:
        from ..approvals.links import make_login_link

        async with database(known, "crm_approver") as db:
            return await make_login_link(db, email, org, origin, then=then)

    url = run(link(user)) if user else origin + (then or "/")
    if not webbrowser.open(url):
        raise click.ClickException(
            f"No browser could be opened here. The page is at {origin}; `crm-mcp users link EMAIL` makes a link for "
            "another machine."
        )
    if not quiet:
        click.echo(f"Opened {origin}" + (f" for {user}." if user else "; it asks who you are."))


@click.command(hidden=True)
@click.option("--watch", type=int, help="Stop when this process is no longer the parent.")
@click.option("--once", is_flag=True)
@click.option("--notify", multiple=True, metavar="EMAIL", help="Who sits at this desktop.")
def worker(watch: int | None, once: bool, notify: tuple[str, ...]) -> None:
    """Expire drafts, clear what was kept, seal the audit, deliver e-mails, tell people, let agents work, keep the index: as
    crm_worker."""
    from ..delivery.server import Server, SmtpUrlInvalid
    from ..embedding.choosing import Embedders
    from ..reaching import page_url
    from ..search.vectors import Keeper
    from ..telling.channels import Office
    from ..telling.webhook import HookInvalid
    from ..worker import work

    known = Settings()
    try:
        server = Server.of(known.smtp_url.get_secret_value()) if known.smtp_url else None
        hook = notice_hook(known)
    except (SmtpUrlInvalid, HookInvalid) as problem:
        raise click.ClickException(str(problem)) from None

    def is_over() -> bool:
        return once or (watch is not None and os.getppid() != watch)

    async def main() -> None:
        login = conninfo(known, "crm_worker")
        db, embedders = Database(login), Embedders(known)
        try:
            office = Office(
                db,
                page_url(known),
                server,
                known.notice_from,
                hook,
                frozenset(email.lower() for email in notify) if known.is_embedded and has_desktop() else frozenset(),
                known.notice_decided,
            )
            async with agents_of(known, db) as act:
                keeper = Keeper(db, embedders)
                await work(db, login, server, known.home, known.audit_sink, is_over, office, keeper, act)
        finally:
            await embedders.close()
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
