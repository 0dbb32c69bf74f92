"""Whether the Redis that is configured answers, and which it is."""

import asyncio

from ...config import Settings
from ...working.memory import StoreAway
from .finding import Finding, ok, problem


def redis(known: Settings) -> Finding:
    """What is to keep working memory answers, and lets this login in."""
    if known.redis_url is None:
        return ok("none is configured: working memory is kept in Postgres")
    from ...working.redis import RedisUrlInvalid

    try:
        return ok(f"{asyncio.run(_asked(known.redis_url.get_secret_value()))} answers")
    except RedisUrlInvalid as wrong:
        return problem(f"CRM_REDIS_URL {wrong}", "Set it anew; serve does not start with it.")
    except StoreAway as away:
        fix = "Start it, or mend CRM_REDIS_URL; serve goes on without it meanwhile, and says so in its answers."
        return problem(f"the Redis of CRM_REDIS_URL does not do as asked ({away})", fix)


async def _asked(url: str) -> str:
    from ...working.redis import RedisStore

    store = RedisStore(url)
    try:
        return await store.about()
    finally:
        await store.close()
