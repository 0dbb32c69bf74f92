"""The way of writes, warmed once a client has its list of tools: imported and connected before the first write."""

import asyncio
import importlib
import sys

from .app import App
from .log import logger

PAUSE = 0.05
"""Seconds between two imports, in which whatever the client asks meanwhile is answered."""
SWITCH = 0.0005
"""Seconds for which a thread that imports keeps the interpreter while the event loop waits for it."""
_LIBRARIES = (
    "sqlalchemy.util",
    "sqlalchemy.sql",
    "sqlalchemy.engine",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.orm",
    "sqlalchemy.ext.asyncio",
    "crm_mcp.crm.models",
    "crm_mcp.write",
)


def check_reports() -> None:
    """Read the headers of all reports that come with the program.

    Raises:
        SystemExit: one is wrong; the text names its file and line.
    """
    from .reports.definition import every
    from .reports.header import HeaderInvalid

    try:
        every()
    except HeaderInvalid as wrong:
        raise SystemExit(f"crm-mcp: {wrong}") from None


async def warm(app: App) -> None:
    """Wait until tools were listed, then import what writes and the listed tools, and open the connection of writes.

    What fails here is left to the first call that needs it; but a report whose header is wrong ends the process.
    """
    await app.listed.wait()
    await asyncio.sleep(PAUSE)
    await asyncio.to_thread(check_reports)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        who = await app.principal()
        tools = app.catalog.visible_to(who)
        writes = any(not tool["annotations"]["readOnlyHint"] for tool in tools)
        for name in _LIBRARIES if writes else ():
            await asyncio.to_thread(importlib.import_module, name)
            await asyncio.sleep(PAUSE)
        for tool in tools:
            await asyncio.to_thread(app.catalog.find, tool["name"], who)
            await asyncio.sleep(PAUSE)
        if writes:
            await (await app.db()).ready(who)
    except Exception as problem:
        logger().debug("not warmed", problem=type(problem).__name__)
    finally:
        sys.setswitchinterval(usual)
