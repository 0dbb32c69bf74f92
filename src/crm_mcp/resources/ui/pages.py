"""The pages in the chat besides the card, as a client is told of them; light, since every start imports it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...catalog import Catalog
from ...principal import Principal
from . import card

WHOLE = "crm/view"
"""The key of a result's _meta under which a page finds the record uncut, and what it may ask besides."""


class Page(NamedTuple):
    """A page: its name, what it shows, and the tools that it may ask for its last stage."""

    name: str
    description: str
    asks: tuple[str, ...]


PAGES: Mapping[str, Page] = {
    "ui://crm/customer": Page(
        "Customer",
        "A customer: figures, twelve months as a chart, orders, issues, people; then what stands out.",
        ("get_orders", "get_pipelines", "suggest_next_action", "get_invoices", "get_issues"),
    ),
    "ui://crm/order": Page(
        "Order",
        "An order: how far it has come, its lines, what is paid of it; then whose it is.",
        ("get_customer",),
    ),
    "ui://crm/pipeline": Page(
        "Pipeline",
        "A pipeline: its stages as a chart, the records in it; then how it does.",
        ("analyze_pipeline",),
    ),
    "ui://crm/report": Page(
        "Report",
        "A report: chart, table and totals; then the same for the period before.",
        ("run_report",),
    ),
}
LEADS_ON = ("show_customer", "show_order")
"""The tools by which a page opens another in its place."""
MIME_TYPE, META = card.MIME_TYPE, card.META


def whole(uri: str, record: Any, catalog: Catalog, who: Principal) -> dict[str, Any]:
    """Return what only a page is told: the record uncut, and which of the tools that it knows are there for it."""
    there = catalog.listed(who)
    return {"record": record, "asks": [name for name in (*PAGES[uri].asks, *LEADS_ON) if name in there]}
