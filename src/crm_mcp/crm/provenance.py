"""Where the values of fields came from (S3), as it was stated with the change that set them."""

from collections.abc import Iterable
from decimal import Decimal

from ..context import Write
from ..principal import Principal
from .models import Provenance


async def note(
    ctx: Write, table: str, record: int, fields: Iterable[str], source: str | None, confidence: float | None
) -> None:
    """Keep the source of fields that a call changed, and how sure it was; nothing where neither was stated.

    Confidence alone is noted under whoever stated it.
    """
    if source is None and confidence is None:
        return
    kept = None if confidence is None else round(Decimal(str(confidence)), 3)
    for name in sorted(set(fields)):
        ctx.session.add(
            Provenance(
                org_id=ctx.principal.org,
                entity=table,
                record_id=record,
                field=name,
                source=source or stated_by(ctx.principal),
                confidence=kept,
            )
        )
    await ctx.session.flush()


def stated_by(who: Principal) -> str:
    """Return what stands as the source where none was named."""
    return who.name if who.agent is None else f"the {who.agent} agent, for {who.name}"
