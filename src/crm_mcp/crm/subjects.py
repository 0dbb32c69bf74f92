"""What a note, a task or an activity is about: any record that the principal may see, by its typed id."""

from typing import NamedTuple

from .. import ids
from ..errors import Refusal
from ..principal import Principal
from . import missing
from .asking import Ask

_NAMED = {
    "customers": ("s.id", "s.name"),
    "contacts": ("s.customer_id", "s.name"),
    "products": ("null::bigint", "s.name"),
    "quotes": ("s.customer_id", "'quote ' || coalesce(s.number, 'quo_' || s.id)"),
    "orders": ("s.customer_id", "'order ' || coalesce(s.number, 'ord_' || s.id)"),
    "invoices": ("s.customer_id", "'invoice ' || coalesce(s.number, 'inv_' || s.id)"),
    "payments": (
        "s.customer_id",
        "'payment of ' || s.currency || ' ' || (crm.money(s.amount, s.currency) ->> 'amount')",
    ),
    "issues": ("s.customer_id", "s.title"),
    "tasks": ("s.customer_id", "s.title"),
    "organizations": ("null::bigint", "s.name"),
    "individuals": ("null::bigint", "s.name"),
    "deals": ("s.customer_id", "s.name"),
    "leads": ("s.customer_id", "s.name"),
    "projects": ("s.customer_id", "s.name"),
}
"""Of each table: whose it is and what it is called, as SQL over `s`."""
_TABLES = {ids.PREFIX[table]: table for table in _NAMED}
SEEN = "array(select r.table_name from crm.reasoning r where r.type = 'crm' and %(role)s::text = any (r.roles))"
"""The tables that the role may see, as SQL."""


def visible_sql(row: str) -> str:
    """Return the SQL condition that the principal may see what a row is about; needs %(role)s.

    What is about a task is about what that task is about, however far that goes.
    """
    return f"""({row}.subject_type is null or ({row}.subject_type = any ({SEEN}) and ({row}.subject_type <> 'tasks'
   or not exists (with recursive up as (select {row}.subject_type as kind, {row}.subject_id as number
      union select k.subject_type, k.subject_id from up join crm.tasks k on k.org_id = %(org)s and up.kind = 'tasks'
       and k.id = up.number and k.subject_type is not null)
     select from up where up.kind <> all ({SEEN})))))"""


def task_visible_sql(task: str) -> str:
    """Return the SQL condition that the principal may see a task: it is theirs, or what it is about is."""
    return f"({task}.assignee_id = %(user)s or {visible_sql(task)})"


def article_visible_sql(article: str) -> str:
    """Return the SQL condition that a role may read an article; needs %(role)s."""
    return f"({article}.access = 'org' or %(role)s = 'admin' or {article}.access = 'roles' and {article}.roles ? %(role)s::text)"


def visible_rows_sql(table: str, row: str) -> str:
    """Return the SQL condition that the principal may see a row of a table; needs %(role)s."""
    if table == "tasks":
        return f"('tasks' = any ({SEEN}) and {task_visible_sql(row)})"
    if table == "articles":
        return f"('articles' = any ({SEEN}) and {article_visible_sql(row)})"
    about = f" and {visible_sql(row)}" if table in ("notes", "documents", "activities") else ""
    return f"('{table}' = any ({SEEN}){about})"


def named_sql(table: str, number: str) -> str:
    """Return the SQL expression of the record with a number, as {id, name}; null where the role may not see its table."""
    _, name = _NAMED.get(table, ("", "s.name"))
    return f"""case when '{table}' = any ({SEEN}) then (select jsonb_build_object('id', '{ids.PREFIX[table]}_' || s.id, 'name', {name})
     from crm.{table} s where s.org_id = %(org)s and s.id = {number}) end"""


def about_sql(row: str) -> str:
    """Return the SQL expression of what a row is about, as {id, name}; null where the principal may not see it."""
    cases = "\n".join(
        f"""when '{table}' then (select jsonb_build_object('id', '{ids.PREFIX[table]}_' || s.id, 'name', {name})
     from crm.{table} s where s.org_id = %(org)s and s.id = {row}.subject_id)"""
        for table, (_, name) in _NAMED.items()
    )
    return f"case when {visible_sql(row)} then case {row}.subject_type {cases} end end"


class Subject(NamedTuple):
    """A record: its table and number, the account that it concerns, and what it is called."""

    table: str
    id: int
    customer: int | None
    name: str

    @property
    def shown(self) -> dict[str, str]:
        return {"id": ids.show(self.table, self.id), "name": self.name}


async def find(ask: Ask, who: Principal, text: str) -> Subject:
    """Return the record that an id names.

    Raises:
        Refusal: INVALID_ID; …_NOT_FOUND, alike for what does not exist, another org's and what the role may not see.
    """
    table, number = parse(text)
    customer, name = _NAMED[table]
    may = task_visible_sql("s") if table == "tasks" else f"'{table}' = any ({SEEN})"
    row = await ask(
        f"select {customer}, {name} from crm.{table} s where s.org_id = %(org)s and s.id = %(id)s and {may}",
        id=number,
        role=who.role,
    )
    if row is None:
        raise missing.customer(text) if table == "customers" else not_found(table, text)
    return Subject(table, number, row[0], row[1])


def parse(text: str) -> tuple[str, int]:
    """Return the table and number in an id of any kind that can be a subject.

    Raises:
        Refusal: INVALID_ID.
    """
    table = _TABLES.get(text.partition("_")[0], "customers")
    try:
        return table, ids.parse(table, text)
    except Refusal as bad:
        others = ", ".join(f"{prefix}_…" for prefix in _TABLES if prefix != ids.PREFIX["customers"])
        raise Refusal(bad.error, f"{bad.hint} These kinds will do too: {others}.", **bad.context) from None


def owner(customer: int | None) -> str:
    """Return whose a record is that is another customer's, in words."""
    return "no customer" if customer is None else f"another customer, {ids.show('customers', customer)}"


def not_found(table: str, text: str) -> Refusal:
    noun = ids.NOUN[table]
    hint = f"There is no such {noun}. Give its id as a tool returned it."
    return Refusal(f"{noun.upper().replace(' ', '_')}_NOT_FOUND", hint, searchedId=text[:60])
