"""Memories about records: typed, without personal data, kept as long as their kind is (S1 section 5)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select, text

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..memory.kinds import (
    DETAILS,
    OWN,
    RETENTION,
    SOURCE,
    SURENESS,
    WITHOUT_RECORD,
    Details,
    Kind,
    Retention,
    Source,
    plain,
)
from ..memory.redaction import KINDS, redact, redact_throughout, region_of
from ..tool import refusal_of
from . import asking, preferences, subjects
from .learnings_shown import LIVE, seen_sql
from .models import Learning
from .subjects import Subject

MOST = 500
"""Live memories about one record; older ones are summed up or deleted."""
_MAY_FORGET = f"""select l.id from crm.learnings l where l.org_id = %(org)s and l.id = %(id)s and {LIVE}
  and {seen_sql("l")}
  and (l.created_by = %(user)s or l.user_id = %(user)s or %(role)s = 'admin')"""
_ALONE = text(
    "select pg_advisory_xact_lock(hashtextextended('memories of ' || cast(:org as text) || '/' || :about, 0))"
)


def details_of(kind: Kind, given: Mapping[str, Any]) -> Details:
    """Return the fields of a kind.

    Raises:
        Refusal: INVALID_ARGUMENT, naming the field and those there are.
    """
    try:
        return DETAILS[kind].model_validate(given)
    except ValidationError as bad:
        refusal = refusal_of(DETAILS[kind], bad)  # pyright: ignore[reportArgumentType] it reads a model's fields alone
        more = {**refusal.context, "fields": list(DETAILS[kind].model_fields)}
        argument = f"details.{more.pop('argument', '')}"
        raise Refusal("INVALID_ARGUMENT", f"details of {kind}: {refusal.hint}", argument=argument, **more) from None


async def remember(
    ctx: Write,
    kind: Kind,
    about: str | None,
    content: str,
    details: Mapping[str, Any],
    *,
    source: Source | None = None,
    confidence: float | None = None,
    retention: Retention | None = None,
) -> tuple[Learning, Subject | None, bool]:
    """Keep a memory about a record; the same once more is the one there is. Return it, its subject, and whether it is new.

    Raises:
        Refusal: INVALID_ARGUMENT (fields of another kind, no record), NOTHING_LEFT, MEMORIES_FULL, and those of `subjects.find`.
    """
    who = ctx.principal
    if about is None and kind not in WITHOUT_RECORD:
        raise Refusal("INVALID_ARGUMENT", f"about: a {kind} is of a record; give its id.", argument="about")
    fields = details_of(kind, details)
    region = region_of(who.timezone)
    left, (data, kinds) = redact(content, region), redact_throughout(plain(fields), region)
    if not left.text.strip() or (left.kinds and not preferences.has_words(left.text)):
        raise Refusal("NOTHING_LEFT", "Personal data is not remembered, and nothing else was in it.")
    on = None if about is None else await subjects.find(asking.within(ctx), who, about)
    owner = who.user if kind in OWN else None
    await ctx.session.execute(_ALONE, {"org": who.org, "about": about or f"user {who.user}"})
    there = (
        Learning.org_id == who.org,
        Learning.subject_type.is_(None) if on is None else Learning.subject_type == on.table,
        Learning.subject_id.is_(None) if on is None else Learning.subject_id == on.id,
        Learning.user_id.is_(None) if owner is None else Learning.user_id == owner,
        Learning.forgotten_at.is_(None),
        Learning.archived_at.is_(None),
        func.coalesce(Learning.expires_at > func.clock_timestamp(), True),
    )
    same = Learning.kind == kind, Learning.content == left.text, Learning.data == data
    if (found := await ctx.session.scalar(select(Learning).where(*there, *same).limit(1))) is not None:
        return found, on, False
    if ((await ctx.session.scalar(select(func.count()).select_from(Learning).where(*there))) or 0) >= MOST:
        raise Refusal("MEMORIES_FULL", f"{MOST} are kept about one record; delete_preference takes one out.")
    taken = {*left.kinds, *kinds}
    said = source or SOURCE[kind]
    made = Learning(
        org_id=who.org,
        user_id=owner,
        kind=kind,
        customer_id=None if on is None else on.customer,
        subject_type=None if on is None else on.table,
        subject_id=None if on is None else on.id,
        content=left.text,
        data=data,
        source=said,
        confidence=Decimal(str(confidence)) if confidence is not None else Decimal(SURENESS[said]),
        retention=retention or RETENTION[kind],
        contains_pii=bool(taken),
        redacted=[kind for kind in KINDS if kind in taken],
    )
    ctx.session.add(made)
    await ctx.session.flush()
    return made, on, True


async def forget(ctx: Write, name: str) -> Learning:
    """Take a memory out, for its maker, the one whose own it is, or an administrator; undo_change brings it back for a month.

    Raises:
        Refusal: MEMORY_NOT_FOUND, of what the principal may not see or take out too; INVALID_ID.
    """
    number = ids.parse("learnings", name)
    row = await asking.within(ctx)(_MAY_FORGET, id=number, role=ctx.principal.role)
    found = None
    if row is not None:
        key = Learning.org_id == ctx.principal.org, Learning.id == number, Learning.forgotten_at.is_(None)
        found = await ctx.session.scalar(select(Learning).where(*key).with_for_update())
    if found is None:
        raise Refusal("MEMORY_NOT_FOUND", "find_notes_on lists them; whoever made one deletes it.", searchedId=name)
    found.forgotten_at = ctx.now
    await ctx.session.flush()
    return found
