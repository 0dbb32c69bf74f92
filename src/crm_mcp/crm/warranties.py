"""Whether goods are under warranty: by the product's months from shipping, or by a warranty of their own."""

from datetime import date

from ..context import Write
from . import asking

_UNTIL = """select max(u.until) from (
 (select ((o.shipped_at at time zone %(zone)s)::date + make_interval(months => p.warranty_months))::date as until
  from crm.orders o join crm.order_lines l on l.org_id = %(org)s and l.order_id = o.id and l.product_id = %(product)s
   join crm.products p on p.org_id = %(org)s and p.id = l.product_id
  where o.org_id = %(org)s and o.customer_id = %(customer)s and (%(order)s::bigint is null or o.id = %(order)s)
   and o.shipped_at is not null and o.status <> 'cancelled' and o.archived_at is null and p.warranty_months > 0
  order by o.shipped_at desc limit 1)
 union all
 select w.ends_on from crm.warranties w where w.org_id = %(org)s and w.customer_id = %(customer)s and w.product_id = %(product)s
  and (%(order)s::bigint is null or w.order_id is null or w.order_id = %(order)s) and w.archived_at is null
  and w.starts_on <= %(day)s) u"""


async def until(ctx: Write, customer: int, product: int, order: int | None, day: date) -> date | None:
    """Return the last day of the warranty on a customer's product; None where there never was one.

    Of the order, else of the customer's latest shipped order of the product; or of a warranty agreed beside it that
    has begun by that day. The later of both.
    """
    row = await asking.within(ctx)(
        _UNTIL, customer=customer, product=product, order=order, day=day, zone=ctx.principal.timezone
    )
    return row[0] if row else None
