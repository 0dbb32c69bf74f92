"""Colleagues: whom an e-mail address, a name or "me" means."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import Refusal
from ..principal import Principal
from .asking import Ask

ME = "me"


def meant_sql(mark: str = "") -> str:
    """Return common table expressions: `meant` holds the active members that %(person)s means, the best kind of match alone.

    `mark` stands behind the names and the parameter, where a statement asks for several people.
    """
    person = f"%(person{mark})s::text"
    return f"""candidates{mark} as (select u.id, u.name, u.email, case when u.email_norm = lower(btrim({person})) then 0
   when crm.name_key(u.name) = crm.name_key({person}) then 1 else 2 end as rank
  from crm.memberships m join crm.users u on u.id = m.user_id
  where m.org_id = %(org)s and m.active and (u.email_norm = lower(btrim({person}))
   or (crm.name_key({person}) <> '' and position(crm.name_key({person}) in crm.name_key(u.name)) > 0))),
 meant{mark} as (select * from candidates{mark} where rank = (select min(rank) from candidates{mark}))"""


def listed_sql(mark: str = "") -> str:
    """Return the SQL expression of whom `meant` holds, for `one_of`."""
    return f"""(select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'name', m.name, 'email', m.email) order by m.name, m.id), '[]')
 from (select * from meant{mark} order by name, id limit 6) m)"""


MEANT, LISTED = meant_sql(), listed_sql()
COLLEAGUES = """select coalesce(jsonb_agg(jsonb_build_object('name', u.name, 'email', u.email) order by u.name, u.id), '[]')
 from (select u.* from crm.memberships m join crm.users u on u.id = m.user_id where m.org_id = %(org)s and m.active
  order by u.name, u.id limit 500) u"""


class Person(NamedTuple):
    id: int
    name: str


async def find(ask: Ask, who: Principal, text: str) -> Person:
    """Return the active member of the org that is meant: by e-mail, by name, by a part of a name, or "me".

    Raises:
        Refusal: PERSON_NOT_FOUND, PERSON_AMBIGUOUS, with colleagues to choose from.
    """
    if text.strip().casefold() == ME:
        return Person(who.user, who.name)
    row = await ask(f"with {MEANT} select {LISTED}", person=text)
    return await one_of(ask, text, row[0] if row else [])


async def one_of(ask: Ask, text: str, meant: Sequence[dict[str, Any]]) -> Person:
    """Return the only one meant.

    Raises:
        Refusal: as `find`.
    """
    if len(meant) == 1:
        return Person(meant[0]["id"], meant[0]["name"])
    if meant:
        offered = [{"name": one["name"], "email": one["email"]} for one in meant]
        hint = "Several colleagues are called so; give the e-mail address."
        raise Refusal("PERSON_AMBIGUOUS", hint, searched=text[:60], suggestions=offered)
    row = await ask(COLLEAGUES)
    hint = 'Give the e-mail address or name of an active member of the org, or "me".'
    raise Refusal("PERSON_NOT_FOUND", hint, searched=text[:60], suggestions=_near(text, row[0] if row else []))


def _near(text: str, colleagues: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return up to three colleagues whose name or a part of it resembles a text; where none does, the first three."""

    def likeness(one: dict[str, str]) -> float:
        parts = [one["name"], one["email"], *one["name"].split()]
        return max(difflib.SequenceMatcher(None, text[:60].casefold(), part.casefold()).ratio() for part in parts)

    near = [one for one in sorted(colleagues, key=likeness, reverse=True) if likeness(one) > 0.6]
    return (near or colleagues)[:3]
