"""Quotes, newest first; one of them with its lines."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import missing
from crm_mcp.money import Money, money_sql
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

COUNTED = 10_000
"""Totals are exact up to here."""
STATE = "case when q.status = 'open' and q.valid_until < %(today)s::date then 'expired' else q.status end"
FILTER = f"""q.org_id = %(org)s and q.archived_at is null and (%(quote)s::bigint is null or q.id = %(quote)s)
   and (%(customer)s::bigint is null or q.customer_id = %(customer)s) and (%(status)s::text is null or {STATE} = %(status)s)"""
LINES = f"""(select jsonb_agg(jsonb_build_object('product', 'prod_' || l.product_id, 'description', l.description, 'quantity', l.quantity,
   'unitPrice', {money_sql("l.unit_price", "q.currency")}, 'discountPercent', trim_scale(l.discount_percent)::text,
   'net', {money_sql("l.net_amount", "q.currency")}) order by l.position) from crm.quote_lines l where l.org_id = q.org_id and l.quote_id = q.id)"""
SQL = f"""with page as (select q.* from crm.quotes q where {FILTER}
   and (%(after_at)s::timestamptz is null or (q.quoted_at, q.id) < (%(after_at)s::timestamptz, %(after_id)s::bigint))
   order by q.quoted_at desc, q.id desc limit %(most)s)
 select (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'quo_' || q.id, 'number', q.number,
    'customer', jsonb_build_object('id', 'cust_' || c.id, 'name', c.name), 'status', {STATE},
    'gross', {money_sql("q.gross_total", "q.currency")}, 'quotedAt', q.quoted_at, 'validUntil', q.valid_until,
    'salesperson', q.salesperson, 'lostReason', q.lost_reason,
    'order', (select 'ord_' || o.id from crm.orders o where o.org_id = q.org_id and o.quote_id = q.id and o.status <> 'cancelled'),
    'comment', case when %(quote)s::bigint is not null then q.comment end,
    'lines', case when %(quote)s::bigint is not null then {LINES} end)) order by q.quoted_at desc, q.id desc), '[]')
   from page q join crm.customers c on c.org_id = q.org_id and c.id = q.customer_id),
  (select count(*) from (select from crm.quotes q where {FILTER} limit {COUNTED + 1}) x),
  (select coalesce(jsonb_agg(jsonb_build_array(q.quoted_at, q.id) order by q.quoted_at desc, q.id desc), '[]') from page q)"""


class GetQuotes(Args):
    quote: Text | None = Field(None, max_length=60, description="quo_…: that one, with its lines.")
    customer: Text | None = Field(None, max_length=60, description="cust_…")
    status: Literal["open", "expired", "accepted", "declined"] | None = None
    limit: int = Field(10, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=300)


class QuoteRow(View):
    noun: ClassVar[str] = "quote"
    nouns: ClassVar[str] = "quotes"

    id: str
    number: str | None = None
    customer: dict[str, str]
    status: str
    gross: Money
    quotedAt: str
    validUntil: str
    salesperson: str | None = None
    lostReason: str | None = None
    order: str | None = None
    comment: str | None = None
    lines: list[dict[str, Any]] | None = None


@tool(
    title="Get quotes",
    toolset="orders",
    roles=EVERYONE,
    effect=Effect.READ,
)
async def get_quotes(ctx: Read, args: GetQuotes) -> Answer[list[QuoteRow]]:
    """List offers, newest first, by customer and status; one with its lines by id. Use when somebody asks what was
    offered; an offer that waits for approval is a draft: see list_drafts."""
    number = ids.parse("quotes", args.quote) if args.quote else None
    question = ["get_quotes", args.model_dump(mode="json", exclude={"cursor", "limit"})]
    after = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [None, None]
    row = await ctx.one(
        SQL,
        quote=number,
        customer=ids.parse("customers", args.customer) if args.customer else None,
        status=args.status,
        today=ctx.principal.day(datetime.now(UTC)),
        after_at=after[0],
        after_id=after[1],
        most=args.limit + 1,
    )
    assert row is not None
    found, total, positions = row
    if args.quote and not found:
        raise missing.quote(args.quote)
    meta: dict[str, object] = {"total": total if total <= COUNTED else f"{COUNTED}+"}
    page = ctx.page(question, positions)
    return Answer(found[: args.limit], Display(title=f"{meta['total']} quotes"), meta, after=page.after)
