"""Where a record's values came from, and how it changed: read from what Postgres recorded and from what was stated."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .. import ids
from ..jsonvalue import is_object
from .custom_fields import PREFIX
from .entity import Entity, Field, Kind
from .terms import columns_of

LATEST = 15
"""Changes of a record that are told."""
LONGEST = 200
"""Characters of one value in them."""
_OWN = "custom_fields"
_ARCHIVED = "archived_at"
_PEOPLE = """(select jsonb_object_agg(u.id, u.name) from crm.users u where u.id in (select v.value::bigint
   from jsonb_each_text(coalesce(c.before, '{}')) v where v.key in ('owner_id', 'assignee_id') and v.value is not null
   union select v.value::bigint from jsonb_each_text(coalesce(c.after, '{}')) v where v.key in ('owner_id', 'assignee_id')
    and v.value is not null))"""


def _rows(entity: Entity) -> str:
    """Return the rows that a record `r` is recorded as: its own, and its parts'."""
    parts = "".join(
        f", ('{model.__tablename__}', (select p.id from crm.{model.__tablename__} p where p.org_id = %(org)s and p.lead_id = r.id))"
        for model in entity.parts.values()
    )
    return f"(values ('{entity.table}', r.id){parts}) v(tbl, number)"


def _changes(entity: Entity, most: int) -> str:
    # one by one: joined otherwise, all changes of the org would be gone through for a few
    return f"""{_rows(entity)} cross join lateral crm.changes_of(v.tbl, v.number, {most}) h
   cross join lateral (select * from crm.changes x where x.org_id = %(org)s and x.id = h.id limit 1) c
   left join crm.users u on u.id = c.user_id"""


def changes_sql(entity: Entity) -> str:
    """Return the SQL expression of a record's latest changes, for `told`."""
    return f"""(select coalesce(jsonb_agg(x.one order by x.id desc), '[]') from (select c.id, jsonb_strip_nulls(jsonb_build_object(
    'change', 'chg_' || c.id, 'table', c.tbl, 'op', c.op::text, 'at', c.at, 'by', u.name, 'approved_by', a.name, 'via_agent', h.agent,
    'tool', h.tool, 'call', c.call_id::text, 'draft', 'draft_' || c.draft_id, 'before', c.before::text, 'after', c.after::text,
    'people', {_PEOPLE})) as one
   from {_changes(entity, LATEST)} left join crm.drafts d on d.org_id = %(org)s and d.id = c.draft_id
   left join crm.users a on a.id = d.approver order by c.id desc limit {LATEST}) x)"""


def touched_sql(entity: Entity) -> str:
    """Return the SQL expression of the last change of each of a record's columns and own fields."""
    return f"""(select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(x))), '[]') from (select distinct on (c.tbl, k.key) c.tbl as "table", k.key as column,
    c.call_id::text as call, c.at, u.name as by, h.agent as via_agent, h.tool from {_changes(entity, 1000)}
   cross join lateral (select jsonb_object_keys(coalesce(c.after, '{{}}')) as key union
    select '{PREFIX}' || e.key from jsonb_each(coalesce(c.after -> '{_OWN}', '{{}}')) e
     where e.value is distinct from c.before -> '{_OWN}' -> e.key) k
   order by c.tbl, k.key, c.id desc) x)"""


def stated_sql(entity: Entity) -> str:
    """Return the SQL expression of the newest statement about each of a record's fields."""
    return f"""(select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(x))), '[]') from (select distinct on (p.field) p.field, p.source,
    trim_scale(p.confidence)::text as confidence, p.created_at as at, u.name as by, p.via_agent,
    (select (select c.call_id::text from crm.changes c where c.org_id = %(org)s and c.id = h.id)
     from crm.changes_of('data_provenance', p.id, 1) h) as call
   from crm.data_provenance p left join crm.users u on u.id = p.created_by
   where p.org_id = %(org)s and p.entity = '{entity.table}' and p.record_id = r.id and p.archived_at is null
   order by p.field, p.id desc) x)"""


def provenance(
    entity: Entity,
    record: Mapping[str, Any],
    touched: Sequence[Mapping[str, Any]],
    stated: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return where each filled field's value came from: as stated with the change that brought it, else that change."""
    said = {_name(entity, one["field"]): one for one in stated}
    last: dict[str, Mapping[str, Any]] = {}
    for one in touched:
        field = columns_of(entity).get(one["table"], {}).get(one["column"])
        name = field.name if field else one["column"] if one["column"].startswith(PREFIX) else None
        if name is not None and (name not in last or last[name]["at"] < one["at"]):
            last[name] = one
    filled = [name for name in entity.fields() if name in record]
    filled += [PREFIX + key for key in record.get("custom", ())]
    found: list[dict[str, Any]] = []
    for name in filled:
        change, statement = last.get(name), said.get(name)
        if statement and (
            change is None or statement.get("call") == change["call"] or statement["at"] >= change["at"]
        ):
            found.append({"field": name, **{key: value for key, value in statement.items() if key != "field"}})
        elif change:
            found.append({"field": name, **{k: v for k, v in change.items() if k not in ("table", "column")}})
    return found


def told(entity: Entity, seen: Collection[str], changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return changes with their fields as a reader knows them: old and new, references as ids, people by name."""
    return [
        {
            **{key: value for key, value in one.items() if key not in ("table", "op", "before", "after", "people")},
            "did": {"I": "created", "U": "changed", "D": "removed"}[one["op"]],
            "fields": list(_fields(entity, seen, one)),
        }
        for one in changes
    ]


def _fields(entity: Entity, seen: Collection[str], one: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    # amounts stay as they were written, never a float
    before: dict[str, Any] = json.loads(one.get("before") or "{}", parse_float=str)
    after: dict[str, Any] = json.loads(one.get("after") or "{}", parse_float=str)
    known = columns_of(entity).get(one["table"], {})
    people: Mapping[str, str] = one.get("people") or {}
    for column in dict.fromkeys((*before, *after)):
        old, new = before.get(column), after.get(column)
        if column == _OWN:
            had, has = _values(old), _values(new)
            for key in sorted({*had, *has}):
                if had.get(key) != has.get(key):
                    yield _pair(PREFIX + key, had.get(key), has.get(key))
        elif column == _ARCHIVED and old != new:
            yield _pair(column, old, new)
        elif (field := known.get(column)) is not None and old != new and (field.table is None or field.table in seen):
            yield _pair(field.name, _value(field, old, people), _value(field, new, people))


def _values(own: Any) -> dict[str, Any]:
    return own if is_object(own) else {}


def _pair(name: str, old: Any, new: Any) -> dict[str, Any]:
    said = {"field": name, "old": _short(old), "new": _short(new)}
    return {key: value for key, value in said.items() if value is not None}


def _value(field: Field, value: Any, people: Mapping[str, str]) -> Any:
    if value is None or field.kind not in (Kind.RECORD, Kind.PERSON):
        return value
    if field.kind is Kind.PERSON:
        return people.get(str(value))
    assert field.table is not None
    return ids.show(field.table, value)


def _short(value: Any) -> Any:
    return value[:LONGEST] + "…" if isinstance(value, str) and len(value) > LONGEST else value


def _name(entity: Entity, said: str) -> str:
    """Return the name of a field that may be said by its column."""
    column = next((field.name for field in entity.fields().values() if field.column == said), None)
    return column or said
