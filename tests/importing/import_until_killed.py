"""An import that says when its rows are written, and then waits, uncommitted, to be killed."""

import asyncio
import sys
from pathlib import Path

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.plan import Plan
from crm_mcp.importing.run import run


async def main(home: str, email: str, file: str, at: int) -> None:
    db = Database(Home(Path(home)).conninfo("crm_approver"))
    who = await db.sign_in(auth.by_email(email))

    def progress(done: int, total: int) -> None:
        if done * 100 >= total * at:
            print("now", flush=True)
            sys.stdin.read()

    await run(db, who, Plan("customers", Path(file), "old"), dry_run=False, progress=progress)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
