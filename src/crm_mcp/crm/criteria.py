"""Exit criteria: what must be so before a record leaves a stage forward, and what the record itself can prove of it.

A check is one sentence of a small closed language (`LANGUAGE`) on the record's own fields. Where a criterion has a
check that applies to the record, the record decides, whatever is stated; where it has none, or one on a field that this
kind of record lacks, a statement counts, and is kept as one.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from ..errors import Refusal
from ..jsonvalue import is_array, is_object
from ..tool import Args, Text, Words
from .asking import Ask
from .entities import ENTITIES
from .subjects import Subject

IN_PIPELINES = ("contacts", "individuals", "customers", "deals", "leads")
"""What may stand in a pipeline."""
PROVEN = "the record must show it: "
"""How it begins what is said of a criterion that a record proves."""
VALUE = "value"
"""What a record is worth, whether its deal, its lead or its place in the pipeline says so."""
LANGUAGE = (
    "{field, is: filled|empty}, {field, equals}, {field, at_least}, "
    "{has: contact|email|activity|note|task_done|order}, {score_at_least}"
)
Check = Mapping[str, Any]
_SHAPES = ({"has"}, {"score_at_least"}, {"field", "is"}, {"field", "equals"}, {"field", "at_least"})
KNOWN: Mapping[str, Mapping[str, Sequence[Check]]] = {
    "has_budget_confirmed": {"leads": ({"field": "budget_confirmed", "equals": True},)},
    "budget_confirmed": {"leads": ({"field": "budget_confirmed", "equals": True},)},
    "has_decision_maker_contact": {
        "leads": ({"field": "decision_maker", "is": "filled"},),
        "deals": ({"field": "contact", "is": "filled"},),
        "customers": ({"has": "contact"},),
    },
    "timeline_defined": {
        "leads": ({"field": "timeline", "is": "filled"}, {"field": "expected_close_on", "is": "filled"}),
        "deals": ({"field": "expected_close_on", "is": "filled"},),
    },
    "company_identified": {
        kind: ({"field": "organization", "is": "filled"}, {"field": "customer", "is": "filled"})
        for kind in ("contacts", "deals", "leads")
    },
}
"""S4's names of criteria, and which checks prove them of which records: one of them is enough. `email_verified` and
the like are not here: no record proves them, so they are stated."""
_SCORED = re.compile(r"(?:(engagement|fit|intent|timing)_)?score\s*(>=|>)\s*(\d+(?:\.\d+)?)", re.ASCII)
"""S4's `engagement_score > 75`, proved by the score or one of its factors."""
_MEANT = {
    "company": "organization",
    "job_title": "title",
    "estimated_value": VALUE,
    "amount": VALUE,
    "linked_in_url": "linkedin_url",
}
"""S4's names of fields, in ours."""


class CheckArgs(Args):
    """One check of `LANGUAGE`, before it is known to be one."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    field: Text | None = Field(None, max_length=100, description="Of the record.")
    is_: Literal["filled", "empty"] | None = Field(None, alias="is")
    equals: bool | float | Text | None = None
    at_least: float | None = None
    has: Literal["contact", "email", "activity", "note", "task_done", "order"] | None = None
    score_at_least: float | None = Field(None, ge=0, le=100)


Named = Annotated[Words, Field(max_length=100)]
"""A criterion's name; alone it is stated, not proved."""


class Criterion(Args):
    name: Named
    check: CheckArgs | None = Field(None, description="What proves it; without, it is stated.")


@dataclass(frozen=True, slots=True)
class Judged:
    """The names of criteria: those the record proved, those stated, those missing; and of fields that are empty.

    `also` was stated besides. `needs` says of a missing one what would prove it.
    """

    proved: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    needs: Mapping[str, str] | None = None

    @property
    def is_met(self) -> bool:
        return not self.missing and not self.fields

    def document(self) -> dict[str, list[str]]:
        """Return what is kept of it with a move."""
        kept = {"proved": self.proved, "stated": self.stated, "missing": self.missing, "also": self.also}
        return {name: list(names) for name, names in {**kept, "missing_fields": self.fields}.items() if names}

    @property
    def lacking(self) -> str:
        return ", ".join([*self.missing, *(f"the field {name}" for name in self.fields)])


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a record can prove: its fields by name, what it has, its score and factors; None where nobody scored it."""

    subject: Subject
    fields: Mapping[str, Any]
    has: Collection[str]
    amount: Decimal | None
    currency: str | None
    is_archived: bool
    score: Decimal | None = None
    factors: Mapping[str, Any] | None = None

    def proves(self, check: Check) -> bool | None:
        """Say whether a check holds; None where it does not apply to this kind of record."""
        match check:
            case {"has": what}:
                return what in self.has
            case {"score_at_least": least}:
                return self.score is not None and self.score >= Decimal(str(least))
            case {"field": name, **rest}:
                name = field_name(name)
                if name not in self.fields:
                    return None
                return _holds(self.fields[name], rest)
            case _:
                return None

    def _knows(self, criterion: str) -> bool | None:
        """Say whether the record proves a criterion that is known by its name; None where it cannot tell."""
        if scored := _SCORED.fullmatch(_plain(criterion)):
            reached = self.score if scored[1] is None else _number((self.factors or {}).get(scored[1]))
            if reached is None:
                return False
            least = Decimal(scored[3])
            return reached > least if scored[2] == ">" else reached >= least
        checks = KNOWN.get(_plain(criterion), {}).get(self.subject.table, ())
        verdicts = [verdict for check in checks if (verdict := self.proves(check)) is not None]
        return any(verdicts) if verdicts else None

    def judge(self, criteria: Iterable[Mapping[str, Any]], required: Iterable[str], stated: Iterable[str]) -> Judged:
        """Judge criteria and required fields; a required field that this kind of record lacks is not required of it."""
        said = {_plain(name): name for name in stated}
        proved, claimed, missing = list[str](), list[str](), list[str]()
        needs: dict[str, str] = {}
        known: set[str] = set()
        for criterion in criteria:
            name, check = criterion["name"], criterion.get("check")
            if _plain(name) in known:
                continue
            known.add(_plain(name))
            verdict = self._knows(name) if check is None else self.proves(check)
            if verdict is None and _plain(name) in said:
                claimed.append(name)
            elif verdict:
                proved.append(name)
            else:
                missing.append(name)
                shown = in_words(check) if check else self._known_words(name)
                needs[name] = f"{PROVEN}{shown}" if verdict is False else "state it, if it is so"
        wanted = dict.fromkeys(field_name(name) for name in required)
        empty = [name for name in wanted if name in self.fields and not _is_filled(self.fields[name])]
        also = [name for plain, name in said.items() if plain not in known]
        return Judged(tuple(proved), tuple(claimed), tuple(missing), tuple(empty), tuple(also), needs)

    def _known_words(self, criterion: str) -> str:
        checks = KNOWN.get(_plain(criterion), {}).get(self.subject.table, ())
        return " or ".join(map(in_words, checks)) or criterion


def in_words(check: Check) -> str:
    """Return a check as a person reads it: budget_confirmed equals true."""
    match check:
        case {"has": what}:
            return f"it has {str(what).replace('_', ' ')}"
        case {"score_at_least": least}:
            return f"its score is at least {least}"
        case {"field": name, "is": state}:
            return f"{name} is {state}"
        case {"field": name, "equals": value}:
            return f"{name} equals {str(value).lower() if isinstance(value, bool) else value}"
        case {"field": name, "at_least": least}:
            return f"{name} is at least {least}"
        case _:
            return "a check"


def field_name(text: str) -> str:
    """Return a field's name in ours: jobTitle and job_title are title."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.strip()).lower()
    return _MEANT.get(snake, snake)


async def parsed(ask: Ask, criteria: Sequence[str | Criterion]) -> list[dict[str, Any]]:
    """Return criteria as they are stored: {name, check?}.

    Raises:
        Refusal: INVALID_CHECK, UNKNOWN_FIELD.
    """
    made: list[dict[str, Any]] = []
    for given in criteria:
        one = Criterion(name=given, check=None) if isinstance(given, str) else given
        if one.check is None:
            made.append({"name": one.name})
            continue
        check = _checked(one.name, one.check.model_dump(exclude_none=True))
        if "field" in check:
            (name,) = await known_fields(ask, [check["field"]])
            check["field"] = name
        made.append({"name": one.name, "check": check})
    return made


def _checked(name: str, check: Mapping[str, Any]) -> dict[str, Any]:
    if set(check) not in _SHAPES or len(str(check.get("equals", ""))) > 200:
        hint = f"The check of {name[:100]!r} is none that there is. One of: {LANGUAGE}."
        raise Refusal("INVALID_CHECK", hint, given=sorted(check))
    return dict(check)


async def known_fields(ask: Ask, names: Iterable[str]) -> list[str]:
    """Return fields by our names, if at least one kind of record in pipelines has each, the org's own among them.

    Raises:
        Refusal: UNKNOWN_FIELD, naming the nearest.
    """
    wanted = list(dict.fromkeys(field_name(name) for name in names))
    if not wanted:
        return []
    own = {name for table in IN_PIPELINES for name in ENTITIES[table].fields()} | {VALUE}
    if not own.issuperset(wanted):
        row = await ask(
            """select coalesce(jsonb_agg(d.key), '[]') from crm.custom_field_definitions d
             where d.org_id = %(org)s and d.archived_at is null and d.entity = any (%(tables)s)""",
            tables=list(IN_PIPELINES),
        )
        own |= set(row[0] if row else ())
    for name in wanted:
        if name not in own:
            near = difflib.get_close_matches(name, own, 1, 0.6)
            hint = f"No record in pipelines has a field {name[:60]!r}." + (
                f" Did you mean {near[0]!r}?" if near else ""
            )
            raise Refusal("UNKNOWN_FIELD", hint, field=name[:60], known=sorted(own))
    return wanted


_CUSTOMER = {"contacts": "s.customer_id", "customers": "s.id", "deals": "s.customer_id", "leads": "s.customer_id"}
_ORGANIZATION = {"contacts": "s.organization_id", "deals": "s.organization_id", "leads": "s.organization_id"}
_EMAIL = {
    "contacts": "s.email",
    "individuals": "s.email",
    "customers": "s.email",
    "deals": "(select c.email from crm.contacts c where c.org_id = s.org_id and c.id = s.contact_id)",
    "leads": "(select i.email from crm.individuals i where i.org_id = s.org_id and i.id = s.individual_id)",
}
_WITH = {"contacts": "s.id", "individuals": "s.id", "deals": "s.contact_id", "leads": "s.individual_id"}
_PART = """coalesce((select to_jsonb(x) from crm.opportunities x where x.org_id = s.org_id and x.lead_id = s.id),
  (select to_jsonb(x) from crm.jobs x where x.org_id = s.org_id and x.lead_id = s.id),
  (select to_jsonb(x) from crm.partnerships x where x.org_id = s.org_id and x.lead_id = s.id), '{}'::jsonb) || """


def _statement(table: str) -> str:
    customer, organization = _CUSTOMER.get(table, "null::bigint"), _ORGANIZATION.get(table, "null::bigint")
    about = f"(x.subject_type, x.subject_id) = ('{table}', s.id)"
    met = f"({about} or x.contact_id = s.id)" if table == "contacts" else about
    return f"""select ({_PART if table == "leads" else ""}to_jsonb(s))::text, array_remove(array[
   case when {_WITH.get(table, "null")} is not null or exists (select from crm.contacts x where x.org_id = s.org_id
     and x.archived_at is null and (x.customer_id = {customer} or x.organization_id = {organization})) then 'contact' end,
   case when btrim({_EMAIL[table]}) <> '' then 'email' end,
   case when exists (select from crm.activities x where x.org_id = s.org_id and x.archived_at is null and {met}) then 'activity' end,
   case when exists (select from crm.notes x where x.org_id = s.org_id and x.archived_at is null and {about}) then 'note' end,
   case when exists (select from crm.tasks x where x.org_id = s.org_id and x.archived_at is null and x.status = 'done'
     and {about}) then 'task_done' end,
   case when exists (select from crm.orders x where x.org_id = s.org_id and x.customer_id = {customer}
     and x.status <> 'cancelled') then 'order' end], null),
  (select coalesce(jsonb_agg(d.key), '[]') from crm.custom_field_definitions d where d.org_id = s.org_id
    and d.archived_at is null and d.entity = '{table}')
  from crm.{table} s where s.org_id = %(org)s and s.id = %(id)s"""


async def evidence(ask: Ask, subject: Subject) -> Evidence:
    """Return what a record can prove, but for its score, which belongs to its place in a pipeline."""
    row = await ask(_statement(subject.table), id=subject.id)
    assert row is not None
    raw: dict[str, Any] = json.loads(row[0], parse_float=Decimal)
    entity = ENTITIES[subject.table]
    part = entity.parts.get(raw.get("kind", "")) if entity.parts else None
    fields = {
        one.name: raw.get(one.column) for one in entity.fields().values() if one.part is None or one.part is part
    }
    custom: dict[str, Any] = raw.get("custom_fields") or {}
    fields |= {key: custom.get(key) for key in row[2]}
    amount = _number(raw.get("amount"))
    fields[VALUE] = amount
    currency = raw.get("currency") if amount is not None else None
    return Evidence(subject, fields, row[1], amount, currency, raw.get("archived_at") is not None)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _is_filled(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and not ((is_array(value) or is_object(value)) and not value)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _holds(value: Any, rest: Mapping[str, Any]) -> bool:
    match rest:
        case {"is": state}:
            return _is_filled(value) is (state == "filled")
        case {"at_least": least}:
            number, bound = _number(value), _number(least)
            return number is not None and bound is not None and number >= bound
        case {"equals": wanted}:
            if isinstance(wanted, bool) or isinstance(value, bool):
                return value is wanted
            numbers = _number(value), _number(wanted)
            if None not in numbers:
                return numbers[0] == numbers[1]
            return isinstance(value, str) and _plain(value) == _plain(str(wanted))
        case _:
            return False
