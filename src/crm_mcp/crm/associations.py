"""What belongs to a record: which rows of other tables, and how they are found."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from . import subjects

ABOUT = ("tasks", "notes", "documents", "activities")
_NAMES = ("contacts", "deals", "leads", "projects", "issues", "orders")
_BY: Mapping[str, Mapping[str, str]] = {
    "organizations": dict.fromkeys(("contacts", "deals", "leads", "projects"), "organization_id"),
    "individuals": dict.fromkeys(("contacts", "leads"), "individual_id"),
    "contacts": dict.fromkeys(("deals", "issues"), "contact_id"),
    "customers": dict.fromkeys(_NAMES, "customer_id"),
    "deals": {"projects": "deal_id"},
    "leads": {"deals": "lead_id"},
    "products": {"issues": "product_id"},
}
"""The column of an associated table that names the record."""
_STANDING = frozenset({"contacts", "individuals", "customers", "deals", "leads"})
"""What may stand in a pipeline."""
_GROUPED: Mapping[str, str] = {
    "customers": "customer_id",
    "organizations": "organization_id",
    "individuals": "individual_id",
}
TABLES: Mapping[str, str] = MappingProxyType(
    {name: name for name in (*_NAMES, *ABOUT)} | {"parties": "customer_parties", "positions": "pipeline_positions"}
)
"""The table of each association."""


def of(table: str, seen: Collection[str] | None = None) -> Mapping[str, str]:
    """Return the associations of a table's records by name: the SQL condition between a row `x` and the record `r`.

    What is associated and archived, or may not be seen, is not there. `seen` are the tables that the role may see,
    None for all; needs %(org)s, %(user)s and %(role)s.
    """
    found = {name: f"x.{column} = r.id" for name, column in _BY.get(table, {}).items()}
    if table == "customers":
        # what is about an order or an issue of theirs concerns them too
        found |= dict.fromkeys(ABOUT, "x.customer_id = r.id")
    elif table not in ("notes", "documents"):
        found |= dict.fromkeys(ABOUT, f"x.subject_type = '{table}' and x.subject_id = r.id")
    if table in _GROUPED:
        found["parties"] = f"x.{_GROUPED[table]} = r.id"
    if table in _STANDING:
        found["positions"] = f"x.subject_type = '{table}' and x.subject_id = r.id"
    return {
        name: f"x.org_id = %(org)s and {on} and {_seen(name)}"
        for name, on in found.items()
        if seen is None or TABLES[name] in seen
    }


def _seen(name: str) -> str:
    return f"x.archived_at is null and {subjects.visible_rows_sql(TABLES[name], 'x')}"
