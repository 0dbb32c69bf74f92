"""How a secret that is shown once reaches its person: by mail, into a file of mode 0600, or printed when asked."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import psycopg

from ..approvals.origin import is_private_to_this_machine
from ..approvals.sign_in_mail import SENDER, Link, Mailer
from ..approvals.whereabouts import Whereabouts
from ..config import Settings
from ..crm.message import Letter
from .mailing import mailer_of
from .session import run

F = TypeVar("F", bound=Callable[..., Any])
Writes = Callable[[Mailer, Any, str, Link, str], Letter]
"""Writes a letter: mailer, the org's sender, address, link, origin."""


class Way(NamedTuple):
    """How a link reaches its person."""

    mailer: Mailer | None
    file: Path | None
    printed: bool

    @classmethod
    def chosen(cls, known: Settings, file: Path | None, printed: bool, email: str) -> "Way":
        """Return the way that was asked for, else by mail.

        Raises:
            ClickException: none was asked for, and there is no mail server.
        """
        if file is not None and printed:
            raise click.UsageError("Give --link-file or --print-link, not both.")
        if file is not None or printed:
            return cls(None, file, printed)
        mailer = mailer_of(known)
        if mailer is None:
            raise click.ClickException(
                f"No mail server is configured (CRM_SMTP_URL), so say how the link reaches {email}: --link-file FILE "
                "writes it into a file that only you can read, --print-link prints it here. Nothing was changed."
            )
        return cls(mailer, None, False)

    def mail(self, conn: psycopg.Connection[Any], org: int, writes: Writes, to: str, link: Link, origin: str) -> None:
        """Send the letter, where that is the way, before what it is about is committed.

        Raises:
            ClickException: the mail server did not take it.
        """
        if self.mailer is None:
            return
        sender = conn.execute(SENDER, (org,)).fetchone()
        run(self.mailer.send(writes(self.mailer, sender, to, link, origin)))

    def tell(self, email: str, url: str, write: Callable[[str], None]) -> None:
        """Hand the link over, where it was not mailed, and say what was done with it."""
        if self.mailer is not None:
            click.echo(f"The link is on its way to {email}.")
        elif self.file is not None:
            write(url)
            click.echo(f"The link is in {self.file}. Hand it to {email} where nobody else reads it.")
        else:
            click.echo(url)


def link_options(command: F) -> F:
    """Add the options that say how a link reaches its person."""
    file = click.Path(dir_okay=False, path_type=Path)
    command = click.option("--print-link", "printed", is_flag=True, help="Print the link here.")(command)
    return click.option("--link-file", "file", type=file, help="Write the link into this new file, mode 0600.")(
        command
    )


@contextmanager
def reserved(path: Path | None) -> Generator[Callable[[str], None]]:
    """Make a file that only its owner reads, before anything else is done; it is gone again if that fails.

    Raises:
        ClickException: it is there already, or cannot be made.
    """
    if path is None:
        yield lambda text: None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{path} is there already; name a new file. Nothing was changed.") from None
    except OSError as problem:
        raise click.ClickException(f"{path} cannot be written ({problem.strerror}). Nothing was changed.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            yield lambda text: print(text, file=out)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def origin_of_links(known: Settings) -> str:
    """Return where links lead; warn where only this machine gets there."""
    origin = (known.approvals_url or Whereabouts.read(known.home).origin).rstrip("/")
    if is_private_to_this_machine(origin):
        click.echo(
            f"The link leads to {origin}, which only this machine reaches. For people elsewhere set CRM_APPROVALS_URL, "
            "or run `crm-mcp up --bind`.",
            err=True,
        )
    return origin
