"""Builds the vectors of a home's live model, says how many after each batch, and waits after the first to be killed."""

import asyncio
import sys
from pathlib import Path

from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.embedding.choosing import Embedders
from crm_mcp.search.vectors import Keeper


async def main(root):
    def told(count):
        print(count, flush=True)
        sys.stdin.readline()

    db = Database(Home(root).conninfo("crm_worker"))
    await Keeper(db, Embedders(Settings(home=root))).build("ngrams-1", told)


asyncio.run(main(Path(sys.argv[1])))
