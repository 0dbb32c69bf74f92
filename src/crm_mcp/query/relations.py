"""The tables that a principal may query, by the names they may be asked by."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
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

    @property
    def label(self) -> str:
        """How a query writes it."""
        return label(self.type, self.name)


def label(type: str, name: str) -> str:
    """Return a table's name as a query writes it: with its type, but for the CRM's own."""
    return name if type == CRM else f"{type}.{name}"


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
            called |= {one.lower(): relation.label for one in (*relation.aliases, relation.name)}
        meant = [called[one] for word, one in _MEANT.items() if re.search(word, asked) and one in called]
        near = [*nearest(name, ((one.type, one.name) for one in self))]
        near += [called[one] for one in difflib.get_close_matches(asked, sorted(called), 4, 0.55)]
        return list(dict.fromkeys([*meant, *near]))[:4]

    def __iter__(self) -> Iterator[Relation]:
        return iter({(relation.schema, relation.view): relation for relation in self._known.values()}.values())


def nearest(name: str, known: Iterable[tuple[str, str]]) -> list[str]:
    """Return the labels of those known tables, as type and name, that are nearest to a name with or without a type."""
    asked = name.lower().removeprefix("crm.")
    labels: dict[str, str] = {}
    for type, own in known:
        labels[label(type, own).lower()] = label(type, own)
        if "." not in asked:
            labels.setdefault(own.lower(), label(type, own))
    close = difflib.get_close_matches(asked, sorted(labels), 4, 0.5)
    return list(dict.fromkeys(labels[one] for one in close))[:3]


def relations_of(rows: Iterable[Mapping[str, Any]]) -> Relations:
    """Return the tables of rows as `REGISTERED` gives them."""
    return Relations(
        Relation(
            row["type"], row["name"], row["schema"], row["view"], tuple(row["columns"]), tuple(row["aliases"] or ())
        )
        for row in rows
    )


KNOWN = """(select r.type, r.table_name as name, r.description, r.aliases, r.schema_hint,
   'query_' || %(role)s::text || case r.type when 'crm' then '' else '_' || r.type end as schema, r.table_name as view
  from crm.reasoning r where %(role)s::text = any (r.roles)
 union all select o.type, o.name, o.description, '{}'::text[], o.hint, 'query_own', 't' || o.id || '_' || %(role)s::text
  from crm.own_tables o where o.org_id = %(org)s and %(role)s::text = any (o.roles) and crm.own_table_fault(o) is null)"""
"""The tables that a role of an org may know of, as SQL that needs %(role)s and %(org)s.

One of the org's own is known as long as nothing is wrong with it: else it does not exist, until somebody mends it.
"""
VISIBLE = f"""select k.type, k.name, k.description, k.aliases, k.schema_hint, n.nspname, c.relname, c.oid,
  (select jsonb_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
 from {KNOWN} k join pg_namespace n on n.nspname = k.schema
 join pg_class c on c.relnamespace = n.oid and c.relname = k.view and c.relkind = 'v'"""
"""The rows of tables that a role may query, as SQL that needs %(role)s and %(org)s."""
REGISTERED = f"""select coalesce(jsonb_agg(jsonb_build_object('type', v.type, 'name', v.name, 'schema', v.nspname, 'view', v.relname,
  'aliases', v.aliases, 'columns', v.columns)), '[]') from ({VISIBLE}) v"""
"""The same as `relations_of` takes them."""
