"""Notes on any record."""

from ..context import Write
from . import asking, subjects
from .models import Note
from .subjects import Subject


async def add(ctx: Write, about: str, body: str) -> tuple[Note, Subject]:
    """Put a note on a record, archived or not.

    Raises:
        Refusal: those of `subjects.find`.
    """
    subject = await subjects.find(asking.within(ctx), ctx.principal, about)
    note = Note(
        org_id=ctx.principal.org,
        customer_id=subject.customer,
        subject_type=subject.table,
        subject_id=subject.id,
        body=body,
    )
    ctx.session.add(note)
    await ctx.session.flush()
    return note, subject
