"""The ways by which people can be reached here, as the operator configured them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import random

from ..db import Database
from ..delivery.server import Server
from .webhook import Hook


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Office:
    """What telling needs. `db` connects as crm_worker; clock and chance can be set by tests.

    `sender`: the address that e-mails come from, None: each org's own. `desktop`: the e-mail addresses of whoever
    sits at this machine. `page`: where people decide. `decided`: whether requesters are written to.
    """

    db: Database
    page: Callable[[], str]
    mail: Server | None = None
    sender: str | None = None
    hook: Hook | None = None
    desktop: frozenset[str] = frozenset()
    decided: bool = False
    clock: Callable[[], datetime] = _now
    chance: Callable[[], float] = field(default=random)

    @property
    def reaches_anybody(self) -> bool:
        return self.mail is not None or self.hook is not None or bool(self.desktop)
