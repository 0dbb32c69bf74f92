"""The questions that are asked at size: each a tool, and arguments made of what an org holds."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from crm_mcp.embedded import Home
from crm_mcp.reports.definition import HERE

READ, REPORT = 50, 500
"""Milliseconds: the targets of a read and of a report."""
SIZED = ("customers", "organizations", "orders", "order_lines")


@dataclass(frozen=True, slots=True)
class Material:
    """What questions to an org are made of: some of its customers (id, name, e-mail, family name of the contact), ids of others."""

    org: int
    customers: list[tuple[int, str, str, str]]
    ids: Mapping[str, list[int]]
    sizes: Mapping[str, int]

    @staticmethod
    def of(home: Home, slug: str) -> "Material":
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            (org,) = conn.execute("select id from crm.orgs where slug = %s", (slug,)).fetchone() or (0,)
            some = conn.execute(
                """select c.id, c.name, c.email, split_part(t.name, ' ', 1) from crm.customers c
                join crm.contacts t on t.org_id = c.org_id and t.id = c.id
                where c.org_id = %s and c.archived_at is null order by md5(c.id::text) limit 300""",
                (org,),
            ).fetchall()
            numbers = {
                table: [
                    row[0]
                    for row in conn.execute(
                        f"select id from crm.{table} where org_id = %s order by md5(id::text) limit 300".encode(),
                        (org,),
                    )
                ]
                for table in ("orders", "leads", "issues", "organizations", "deals")
            }
            sizes: dict[str, int] = {}
            for table in SIZED:
                counted = conn.execute(f"select count(*) from crm.{table} where org_id = %s".encode(), (org,))
                (sizes[table],) = counted.fetchone() or (0,)
        return Material(org, some, numbers, sizes)

    def customer(self) -> int:
        return random.choice(self.customers)[0]

    def name(self) -> str:
        return random.choice(self.customers)[1]

    def stem(self) -> str:
        return self.name().split()[0]

    def family(self) -> str:
        return random.choice(self.customers)[3]

    def email(self) -> str:
        return random.choice(self.customers)[2]

    def id(self, table: str, prefix: str) -> str:
        return f"{prefix}_{random.choice(self.ids[table])}"


class Question(NamedTuple):
    name: str
    tool: str
    arguments: Callable[[Material], dict[str, Any]]
    most: int = READ


def _finds(what: str, entity: str, arguments: Callable[[Material], dict[str, Any]]) -> Question:
    return Question(
        f"find_records {entity}, {what}", "find_records", lambda org: {"entity": entity, **arguments(org)}
    )


def _filtered(what: str, entity: str, **filters: Any) -> Question:
    return _finds(what, entity, lambda _: {"filters": filters})


ENTITIES = (
    "organizations", "individuals", "contacts", "customers", "deals", "leads", "projects", "tasks", "notes", "documents",
    "issues", "products",
)  # fmt: skip
WORDED = ("individuals", "contacts", "customers", "deals", "leads", "projects", "tasks", "notes", "issues")
QUESTIONS: tuple[Question, ...] = (
    Question("get_customer", "get_customer", lambda org: {"customer": f"cust_{org.customer()}"}),
    Question("get_record organization", "get_record", lambda org: {"id": org.id("organizations", "org")}),
    Question(
        "get_record customer, all",
        "get_record",
        lambda org: {"id": f"cust_{org.customer()}", "include": ["orders", "contacts", "tasks", "notes", "history"]},
    ),
    Question("get_order", "get_order", lambda org: {"order": org.id("orders", "ord")}),
    Question("search_customers, name", "search_customers", lambda org: {"query": org.name()}),
    Question("search_customers, misspelt", "search_customers", lambda org: {"query": org.stem()[:-1] + "y"}),
    Question("search_customers, common word", "search_customers", lambda _: {"query": "Logistics"}),
    Question("search_customers, e-mail", "search_customers", lambda org: {"query": org.email()}),
    Question("search_documents, name", "search_documents", lambda org: {"query": org.name()}),
    Question(
        "search_documents, misspelt", "search_documents", lambda org: {"query": f"{org.family()[:-1]}y {org.stem()}"}
    ),
    Question("search_documents, e-mail", "search_documents", lambda org: {"query": org.email()}),
    Question("search_documents, words", "search_documents", lambda org: {"query": f"{org.family()} will call back"}),
    Question("search_documents, common word", "search_documents", lambda _: {"query": "Logistics"}),
    Question(
        "search_documents, question",
        "search_documents",
        lambda org: {"query": f"what did {org.stem()} ask for on monday?"},
    ),
    Question(
        "search_documents, notes", "search_documents", lambda org: {"query": org.family(), "entities": ["notes"]}
    ),
    Question("search_documents, id", "search_documents", lambda org: {"query": f"cust_{org.customer()}"}),
    Question("find_similar_customers", "find_similar_customers", lambda org: {"record": f"cust_{org.customer()}"}),
    Question(
        "find_similar_customers, lead", "find_similar_customers", lambda org: {"record": org.id("leads", "lead")}
    ),
    Question("get_orders", "get_orders", lambda _: {}),
    Question("get_orders, customer", "get_orders", lambda org: {"customer": f"cust_{org.customer()}"}),
    Question("get_orders, status", "get_orders", lambda _: {"status": "confirmed"}),
    Question("get_quotes", "get_quotes", lambda _: {}),
    Question("get_invoices", "get_invoices", lambda _: {}),
    Question("get_invoices, overdue", "get_invoices", lambda _: {"status": "overdue"}),
    Question("get_invoices, customer", "get_invoices", lambda org: {"customer": f"cust_{org.customer()}"}),
    Question("get_payments", "get_payments", lambda _: {}),
    Question("get_issues", "get_issues", lambda _: {}),
    Question("get_issues, words", "get_issues", lambda org: {"query": org.family()}),
    Question("get_issues, overdue", "get_issues", lambda _: {"overdue": True}),
    Question("get_issues, unresolved", "get_issues", lambda _: {"status": "unresolved"}),
    Question("get_tasks", "get_tasks", lambda _: {}),
    Question("search_products", "search_products", lambda org: {"query": org.family()}),
    *(_finds("list", entity, lambda _: {}) for entity in ENTITIES),
    _finds("by name", "organizations", lambda _: {"sort": "name"}),
    _finds("by employees", "organizations", lambda _: {"sort": "-employees"}),
    _finds("by amount", "deals", lambda _: {"sort": "-amount"}),
    _finds("name", "organizations", lambda org: {"filters": {"name": org.name()}}),
    _finds("e-mail", "customers", lambda org: {"filters": {"email": org.email()}}),
    _finds("name contains", "organizations", lambda org: {"filters": {"name": {"contains": org.stem()}}}),
    _filtered("owner", "organizations", owner="me"),
    _filtered("status", "deals", status="open"),
    _filtered("status and owner", "leads", status="new", owner="me"),
    _filtered("city", "organizations", city="Bonn"),
    _filtered("employees", "organizations", employees={"from": 4000}),
    _filtered("created", "organizations", created_at={"from": "-30d"}),
    _filtered("closing soon", "deals", expected_close_on={"from": "today", "to": "+14d"}),
    _filtered("long not updated", "leads", not_updated_for_days=300),
    _filtered("updated since", "customers", updated_since="-7d"),
    _filtered("has deals", "organizations", has="deals"),
    _filtered("lacks deals", "organizations", lacks="deals"),
    _filtered("lacks tasks", "customers", lacks="tasks"),
    _filtered("lacks e-mail", "customers", lacks="email"),
    _finds("of an organization", "deals", lambda org: {"filters": {"organization": org.id("organizations", "org")}}),
    _finds("rare word", "organizations", lambda org: {"query": org.stem()}),
    _finds("two words", "organizations", lambda org: {"query": org.name()}),
    _finds("common word", "organizations", lambda _: {"query": "GmbH"}),
    _finds("frequent word", "organizations", lambda _: {"query": "Logistics"}),
    _finds("no such word", "organizations", lambda _: {"query": "xylophone"}),
    _finds("short word", "organizations", lambda _: {"query": "ag"}),
    _finds("common word by name", "organizations", lambda _: {"query": "GmbH", "sort": "name"}),
    _finds("common word, owner", "organizations", lambda _: {"query": "GmbH", "filters": {"owner": "me"}}),
    *(_finds("rare word", entity, lambda org: {"query": org.family()}) for entity in WORDED),
    _finds("frequent word", "notes", lambda _: {"query": "Logistics monday"}),
    *(
        Question(f"report {file.stem}", "run_report", lambda _, name=file.stem: {"report": name}, REPORT)
        for file in sorted(HERE.glob("*.sql"))
    ),
)
