"""What is compared: a record as it is given, and the same record made comparable once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeVar

from . import reach
from .companies import CompanyName, company_name
from .names import NOBODY, PersonName, person_name
from .places import Place, country_code, place
from .reach import Email, Phone
from .text import fold, words

Kind = Literal["organization", "individual"]
_DAY = re.compile(r"\s*(\d{4})[-/.]?(\d{1,2})[-/.]?(\d{1,2})")
_T = TypeVar("_T")
_NO_COMPANY = CompanyName((), "")


@dataclass(frozen=True, slots=True)
class Record:
    """A person or an organization as it is written; everything but its id and kind may be missing."""

    id: str
    kind: Kind
    name: str = ""
    given: str = ""
    family: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    website: str = ""
    street: str = ""
    house: str = ""
    second: str = ""
    city: str = ""
    code: str = ""
    region: str = ""
    country: str = ""
    born: date | str | None = None
    employer: str = ""
    tax_number: str = ""

    @property
    def called(self) -> str:
        """The name as it is written."""
        return self.name or f"{self.given} {self.family}".strip()


@dataclass(frozen=True, slots=True)
class Normal:
    """A record in the form in which two are compared."""

    record: Record
    person: PersonName
    company: CompanyName
    emails: tuple[Email, ...]
    phones: tuple[Phone, ...]
    domains: tuple[str, ...]
    at: Place
    born: str
    """YYYYMMDD, or the digits there are."""
    employer: tuple[str, ...]
    tax_number: str
    joined: str = field(default="")
    """A company's words in one."""


def normal(record: Record, region: str) -> Normal:
    """Make a record comparable; `region` is where its phone numbers are dialled when it names no country."""
    firm = record.kind == "organization"
    emails = tuple(_each(reach.email(text) for text in record.emails if text))
    dialled = dialled_from(record, region)
    company = company_name(record.called) if firm else _NO_COMPANY
    sites = {reach.domain(record.website), *(box.domain for box in emails if not box.public)} - {""}
    return Normal(
        record,
        NOBODY if firm else person_name(record.name, record.given, record.family),
        company,
        emails,
        tuple(_each(reach.phone(text, dialled) for text in record.phones if text)),
        tuple(sorted(sites)),
        place(record.street, record.house, record.second, record.city, record.code, record.region, record.country),
        _day(record.born),
        company_name(record.employer).core if record.employer else (),
        "".join(words(fold(record.tax_number))),
        "".join(company.core),
    )


def dialled_from(record: Record, region: str) -> str:
    """Return the country (ISO 3166) in which a record's phone numbers are dialled."""
    return country_code(record.country) or region


def _day(born: date | str | None) -> str:
    if born is None or isinstance(born, date):
        return "" if born is None else f"{born:%Y%m%d}"
    read = _DAY.match(born)
    return f"{read[1]}{int(read[2]):02}{int(read[3]):02}" if read else ""


def _each(found: Iterable[_T | None]) -> list[_T]:
    """Return what there is, once each, in its order."""
    return list(dict.fromkeys(one for one in found if one is not None))
