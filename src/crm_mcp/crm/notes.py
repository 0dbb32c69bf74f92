"""Notes on customers."""

from .. import ids
from ..context import Write
from . import missing
from .models import Customer, Note


async def add(ctx: Write, customer: str, body: str) -> tuple[Note, Customer]:
    """Put a note on a customer, archived or not.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND (another org's answers the same).
    """
    org = ctx.principal.org
    about = await ctx.session.get(Customer, (org, ids.parse("customers", customer)))
    if about is None:
        raise missing.customer(customer)
    note = Note(org_id=org, customer_id=about.id, subject_type="customers", subject_id=about.id, body=body)
    ctx.session.add(note)
    await ctx.session.flush()
    return note, about
