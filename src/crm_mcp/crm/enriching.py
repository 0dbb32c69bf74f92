"""Facts found outside put on a person and the organization they are at, each with where it came from.

What replaces a value is said with old and new: to the person who approves it, or, where the org lets such changes run, in
the receipt by which it is undone. The organization itself is never made or linked here: that is `propose_changes`' work, which looks for duplicates first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..jsonvalue import is_array
from ..tool import Args, Text, Words
from . import asking, provenance, subjects
from .models import Contact, Individual, Note, Organization
from .subjects import Subject


class Findings(Args):
    """What was found about a person and where they work."""

    company: Words | None = Field(None, max_length=400)
    title: Words | None = Field(None, max_length=200)
    job_title: Words | None = Field(None, max_length=200)
    linkedin_url: Text | None = Field(None, max_length=2000)
    company_size: int | Text | None = Field(None, description="How many work there.")
    industry: Words | None = Field(None, max_length=200)
    recent_news: tuple[Words, ...] = Field((), max_length=20)
    technologies: tuple[Words, ...] = Field((), max_length=50)


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one record: what it held, what it holds."""

    record: str
    field: str
    before: Any
    after: Any

    @property
    def words(self) -> str:
        was = f"from {_said(self.before)} " if self.before not in (None, "", []) else ""
        return f"{self.field} {was}to {_said(self.after)}"


@dataclass(frozen=True, slots=True)
class Enriched:
    subject: Subject
    organization: Organization | None
    changes: Sequence[Change]
    note: str | None
    warnings: Sequence[str]


async def enrich(
    ctx: Write, record: str, found: Findings, sources: Sequence[str], confidence: float | None
) -> Enriched:
    """Write what was found on a contact or individual, and on the organization they are at.

    Raises:
        Refusal: INVALID_ID, CONTACT_NOT_FOUND, INDIVIDUAL_NOT_FOUND, RECORD_ARCHIVED, NOTHING_FOUND.
    """
    table, number = subjects.parse(record)
    if table not in ("contacts", "individuals"):
        hint = f"This is the id of a different kind ({ids.NOUN[table]}); give cont_… or ind_…."
        raise Refusal("INVALID_ID", hint, given=record[:60])
    subject = await subjects.find(asking.within(ctx), ctx.principal, record)
    model = Contact if table == "contacts" else Individual
    person = await ctx.session.get(model, (ctx.principal.org, number), with_for_update=True)
    assert person is not None
    if person.archived_at is not None:
        raise Refusal("RECORD_ARCHIVED", f"{subject.name} is archived.", record=record[:60])
    organization: Organization | None = None
    if isinstance(person, Contact) and person.organization_id is not None:
        key = (ctx.principal.org, person.organization_id)
        organization = await ctx.session.get(Organization, key, with_for_update=True)
    warnings: list[str] = []
    own = {"title": found.title or found.job_title, "linkedin_url": found.linkedin_url}
    theirs, unkept = _of_organization(found, organization)
    if organization is None and theirs:
        hint = "Link it to an organization with propose_changes first; then enrich it again"
        warnings.append(f"{subject.name} is at no organization here, so {', '.join(theirs)} is not kept. {hint}.")
        theirs = {}
    if found.company is not None:
        warnings += _other_company(found.company, subject, organization)
    changes = [*_put(person, record, own)]
    if organization is not None:
        changes += _put(organization, ids.show("organizations", organization.id), theirs)
    told = [*found.recent_news, *unkept]
    note = await _noted(ctx, subject, organization, told, sources) if told else None
    if not changes and note is None and not warnings:
        raise Refusal("NOTHING_FOUND", "data: give at least one thing that was found.", argument="data")
    await ctx.session.flush()
    said = "; ".join(sources)[:1000]
    for where, of in (
        (record, table),
        (ids.show("organizations", organization.id) if organization else "", "organizations"),
    ):
        fields = [change.field for change in changes if change.record == where]
        if fields:
            await provenance.note(ctx, of, ids.parse(of, where), fields, said, confidence)
    return Enriched(subject, organization, changes, note, warnings)


def _of_organization(found: Findings, organization: Organization | None) -> tuple[dict[str, Any], list[str]]:
    """Return the organization's fields, and what no field holds: a size that is no number, for the note."""
    fields: dict[str, Any] = {"industry": found.industry}
    unkept: list[str] = []
    if found.company_size is not None:
        digits = re.sub(r"[\s,.']", "", str(found.company_size))
        if digits.isascii() and digits.isdigit() and int(digits) < 10**8:
            fields["employees"] = int(digits)
        else:
            unkept.append(f"Company size: {found.company_size}")
    if found.technologies:
        known = list(organization.technologies) if organization is not None else []
        seen = {name.casefold() for name in known}
        more = [name for name in dict.fromkeys(found.technologies) if name.casefold() not in seen]
        fields["technologies"] = [*known, *more] if more else None
    return {name: value for name, value in fields.items() if value is not None}, unkept


def _other_company(company: str, subject: Subject, organization: Organization | None) -> list[str]:
    if organization is None:
        return [f"{subject.name} is not linked to {company}: link them with propose_changes."]
    if organization.name.casefold().strip() == company.casefold().strip():
        return []
    return [f"{subject.name} is at {organization.name} here, not at {company}: propose_changes changes that."]


def _put(row: Any, shown: str, values: dict[str, Any]) -> list[Change]:
    made: list[Change] = []
    for name, value in values.items():
        before = getattr(row, name)
        if value is not None and before != value:
            made.append(Change(shown, name, before, value))
            setattr(row, name, value)
    return made


async def _noted(
    ctx: Write, subject: Subject, organization: Organization | None, lines: Sequence[str], sources: Sequence[str]
) -> str:
    """Put what has no field of its own into one note, with its sources; on the organization, if there is one."""
    body = "\n".join([*(f"- {line}" for line in lines), f"Sources: {'; '.join(sources)}"])[:10_000]
    about = ("organizations", organization.id) if organization is not None else (subject.table, subject.id)
    note = Note(
        org_id=ctx.principal.org,
        customer_id=subject.customer if organization is None else None,
        subject_type=about[0],
        subject_id=about[1],
        body=body,
    )
    ctx.session.add(note)
    await ctx.session.flush()
    return ids.show("notes", note.id)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if is_array(value) else str(value)
