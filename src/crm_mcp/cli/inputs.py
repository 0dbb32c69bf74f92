"""What people type about people: an address, a name, a limit; wrong ones are refused with a sentence."""

import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from ..crm import addresses
from ..invisible import is_blank

LONGEST = 200
_MOST = Decimal(10) ** 15
"""What numeric(19,4) holds."""


class EmailAddress(click.ParamType[str]):
    """An address alone, in the form in which it is stored."""

    name = "email"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            read = addresses.parse(str(value))
        except addresses.NotAnAddress as why:
            self.fail(f"{shown(str(value))} is no e-mail address: {why}. Give it as ann@firm.example.", param, ctx)
        if read.name or "<" in str(value):
            self.fail("Give the address alone, as ann@firm.example.", param, ctx)
        return read.address


class PersonName(click.ParamType[str]):
    """A name that shows, on one line."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = unicodedata.normalize("NFC", str(value)).strip()
        if is_blank(name):
            self.fail("A name cannot be blank.", param, ctx)
        if not addresses.is_one_line(name):
            self.fail("A name is one line, without characters that do not show.", param, ctx)
        if len(name) > LONGEST:
            self.fail(f"A name has at most {LONGEST} characters; this has {len(name)}.", param, ctx)
        return name


class Limit(click.ParamType[Decimal]):
    """An amount up to which somebody may approve, exact."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if isinstance(value, Decimal):
            return value
        text = str(value).strip()
        try:
            limit = Decimal(text) if text.isascii() and "_" not in text else Decimal("NaN")
        except InvalidOperation:
            limit = Decimal("NaN")
        if not limit.is_finite():
            self.fail(f"{shown(text)} is no amount. Give it as 5000 or 2500.50.", param, ctx)
        if limit < 0:
            self.fail("A limit cannot be negative; 0 lets nobody approve an amount.", param, ctx)
        exponent = limit.as_tuple().exponent
        if limit >= _MOST or (isinstance(exponent, int) and exponent < -4):
            self.fail("A limit has at most 15 digits before and 4 after the point.", param, ctx)
        return limit + 0


EMAIL, NAME, LIMIT = EmailAddress(), PersonName(), Limit()


def meant(email: str) -> str:
    """Return an address in the form in which it is looked up; what is none is looked for as it stands."""
    try:
        return addresses.parse(email).norm
    except addresses.NotAnAddress:
        return email.strip().lower()


def shown(text: str) -> str:
    """Return what somebody typed as it can stand in a sentence, whatever it holds."""
    short = text if len(text) <= 60 else text[:60] + "…"
    return "'" + "".join(c if c.isprintable() else "�" for c in short) + "'"
