"""The tables that a principal may query, by the names they may be asked by."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CRM = "crm"
"""The type, and so the qualifier, of the CRM's own tables."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A registered table: its type and name, the view that shows it to a role, and that view's columns."""

    type: str
    name: str
    schema: str
    view: str
    columns: tuple[str, ...]
    aliases: tuple[str, ...] = ()


_MEANT: Mapping[str, str] = {
    r"client|account|buyer": "customers",
    r"compan|firm": "organizations",
    r"sale|purchase": "orders",
    r"(order|sales).*(item|row|detail)|line|item": "order_lines",
    r"invoice.*(item|row|detail)|line": "invoice_lines",
    r"employee|staff|rep$|reps$|team|user|owner|member": "people",
    r"ticket|case|complaint": "issues",
    r"bill|receivable": "invoices",
    r"receipt": "payments",
    r"refund|credit": "credit_notes",
    r"offer|proposal|estimate": "quotes",
    r"stage.*(hist|chang|mov)|hist": "stage_transitions",
    r"stock|inventor": "stock_movements",
    r"rate|fx|currenc": "exchange_rates",
    r"call|meeting|event|touch": "activities",
    r"file|attachment": "documents",
    r"categor|good|article": "products",
}
"""Words of names that tables go by elsewhere, and the table that is meant."""


class Relations:
    """The registered tables of one principal."""

    def __init__(self, known: Iterable[Relation]) -> None:
        self._known: dict[tuple[str, str], Relation] = {}
        every = list(known)
        for relation in every:
            for alias in relation.aliases:
                self._known.setdefault((relation.type, alias.lower()), relation)
        for relation in every:
            self._known[relation.type, relation.name] = relation

    def find(self, qualifier: str, name: str) -> Relation | None:
        """Return the table of a name; an unqualified one is the CRM's where that has it."""
        if qualifier:
            return self._known.get((qualifier.lower(), name.lower()))
        found = [relation for (_, own), relation in self._known.items() if own == name.lower()]
        return min(found, key=lambda relation: (relation.type != CRM, relation.type), default=None)

    def near(self, name: str) -> list[str]:
        """Return the names of the tables that are nearest to one that is not there."""
        asked = name.lower().rsplit(".", 1)[-1]
        called: dict[str, str] = {}
        for relation in self:
            shown = relation.name if relation.type == CRM else f"{relation.type}.{relation.name}"
            called |= {one.lower(): shown for one in (*relation.aliases, relation.name)}
        meant = [called[one] for word, one in _MEANT.items() if re.search(word, asked) and one in called]
        near = difflib.get_close_matches(asked, sorted(called), 4, 0.55)
        return list(dict.fromkeys([*meant, *(called[one] for one in near)]))[:4]

    def __iter__(self) -> Any:
        return iter({relation.view: relation for relation in self._known.values()}.values())


def relations_of(rows: Iterable[Mapping[str, Any]]) -> Relations:
    """Return the tables of rows as `REGISTERED` gives them."""
    return Relations(
        Relation(
            row["type"], row["name"], row["schema"], row["view"], tuple(row["columns"]), tuple(row["aliases"] or ())
        )
        for row in rows
    )


VISIBLE = """select r.type, r.table_name as name, r.description, r.aliases, r.schema_hint, n.nspname, c.relname, c.oid,
  (select jsonb_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
 from crm.reasoning r join pg_namespace n on n.nspname = 'query_' || %(role)s::text
 join pg_class c on c.relnamespace = n.oid and c.relname = r.table_name and c.relkind = 'v'
 where r.type = 'crm' and %(role)s::text = any (r.roles)"""
"""The rows of tables that a role may query, as SQL that needs %(role)s."""
REGISTERED = f"""select coalesce(jsonb_agg(jsonb_build_object('type', v.type, 'name', v.name, 'schema', v.nspname, 'view', v.relname,
  'aliases', v.aliases, 'columns', v.columns)), '[]') from ({VISIBLE}) v"""
"""The same as `relations_of` takes them."""
