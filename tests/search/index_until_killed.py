"""An indexer of small rounds that works until it is killed."""

import asyncio
import sys
from pathlib import Path

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.search import indexer


async def main(home: str, org: int) -> None:
    indexer.BATCH = 7
    db = Database(Home(Path(home)).conninfo("crm_worker"))
    print("now", flush=True)
    while True:
        await indexer.catch_up(db, org)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
