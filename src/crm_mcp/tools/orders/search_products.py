"""Products with price and stock."""

from typing import ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.money import Money, money_sql
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import SELLERS, Answer, Args, Display, Effect, Text, View, tool

STOCK = "(select coalesce(sum(m.quantity), 0) from crm.stock_movements m where m.org_id = p.org_id and m.product_id = p.id)"
RESERVED = """(select coalesce(sum(r.quantity), 0) from crm.stock_reservations r where r.org_id = p.org_id and r.product_id = p.id
   and r.released_at is null)"""
SQL = f"""with q as (select crm.name_key(%(query)s) as k),
 found as (select p.*, case when %(query)s = '' then 0 when lower(p.sku) = lower(btrim(%(query)s)) or p.name_key = q.k then 1
    else word_similarity(q.k, p.name_key || ' ' || coalesce(crm.name_key(p.category), '')) end as score
   from crm.products p, q where p.org_id = %(org)s and p.archived_at is null and (%(all)s or not p.discontinued)),
 alike as (select * from found where %(query)s = '' or score >= 0.45),
 page as (select * from alike where (score, -id) < (%(after_score)s::real, %(after_id)s::bigint)
   order by score desc, id limit %(most)s)
 select (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'prod_' || p.id, 'sku', p.sku, 'name', p.name,
   'category', p.category, 'unit', p.unit, 'unitPrice', {money_sql("p.unit_price", "p.currency")},
   'taxPercent', trim_scale(p.tax_rate)::text, 'inStock', {STOCK}, 'available', {STOCK} - {RESERVED},
   'discontinued', nullif(p.discontinued, false)))
   order by p.score desc, p.id), '[]') from page p),
  (select count(*) from alike), (select coalesce(jsonb_agg(jsonb_build_array(score, -id) order by score desc, id), '[]') from page)"""


class SearchProducts(Args):
    query: Text = Field("", max_length=300, description="Name, SKU or category; empty: all.")
    include_discontinued: bool = False
    limit: int = Field(10, ge=1, le=50)
    cursor: Text | None = Field(None, max_length=300)


class ProductView(View):
    noun: ClassVar[str] = "product"
    nouns: ClassVar[str] = "products"

    id: str
    sku: str
    name: str
    category: str | None = None
    unit: str | None = None
    unitPrice: Money
    taxPercent: str
    inStock: int
    available: int
    discontinued: bool | None = None


@tool(
    title="Search products",
    toolset="orders",
    roles=SELLERS | {Role.FINANCE, Role.SUPPORT},
    effect=Effect.READ,
    agents={Agent.ORDER},
)
async def search_products(ctx: Read, args: SearchProducts) -> Answer[list[ProductView]]:
    """Find products by name, SKU or category, with net price and stock. Use when an order or offer needs product
    ids; for a total use calculate_pricing."""
    question = ["search_products", args.query, args.include_discontinued]
    score, last = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [2.0, 0]
    row = await ctx.one(
        SQL, query=args.query, all=args.include_discontinued, most=args.limit + 1, after_score=score, after_id=last
    )
    assert row is not None
    found, total, positions = row
    page, shown = ctx.page(question, positions), Display(title=f"{total} products", subtitle=args.query[:60])
    return Answer(found[: args.limit], shown, {"total": total}, after=page.after)
