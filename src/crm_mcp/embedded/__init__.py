"""The embedded Postgres: found running or started, leased by each client, stopped when nobody is left.

Importing this loads no database driver and no process handling; what only the launcher needs is loaded
when asked for.
"""

from typing import TYPE_CHECKING, Any

from .errors import EmbeddedDiskFull, EmbeddedInUse, EmbeddedUnavailable
from .home import Address, Home, Recorded
from .lease import Lease, join

if TYPE_CHECKING:
    from .launcher import Status, launch, status, stop

__all__ = [
    "Address",
    "EmbeddedDiskFull",
    "EmbeddedInUse",
    "EmbeddedUnavailable",
    "Home",
    "Lease",
    "Recorded",
    "Status",
    "join",
    "launch",
    "status",
    "stop",
]


def __getattr__(name: str) -> Any:
    if name in ("Status", "launch", "status", "stop"):
        from importlib import import_module

        return getattr(import_module(".launcher", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
