"""A process that spends through the product's own meter: `spender.py CONNINFO EMAIL EACH CALLS`.

It reserves and settles so many calls at once, refused or not, and says what it spent; with no calls it reserves one,
says so, and never settles it.
"""

import asyncio
import sys
from decimal import Decimal

from crm_mcp import auth
from crm_mcp.agents.meter import PostgresMeter
from crm_mcp.db import Database
from crm_mcp.errors import Refusal


async def main(conninfo: str, email: str, each: int, calls: int) -> None:
    db = Database(conninfo, size=4)
    who = await db.sign_in(auth.by_email(email))

    if not calls:
        await PostgresMeter(db, who).reserve("death", each, Decimal(0))
        print("held", flush=True)
        await asyncio.Event().wait()

    async def spend() -> int:
        meter = PostgresMeter(db, who)
        try:
            held = await meter.reserve("race", each, Decimal("0.01"))
        except Refusal as no:
            if no.error == "OVER_BUDGET":
                return 0
            raise
        await meter.settle(held, each, 0, Decimal("0.01"))
        return each

    print(sum(await asyncio.gather(*(spend() for _ in range(calls)))))
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
