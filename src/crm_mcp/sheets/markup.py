"""Values in the markup of a sheet: texts that stay texts, numbers that a double holds, days that Excel knows."""

import re
from datetime import date, datetime

from ..formulas import disarm
from .style import Style

LONGEST = 32_767
"""UTF-16 code units that a cell holds (Excel's limits)."""
DIGITS = 15
"""Significant decimal digits that a double holds whatever they are, and that Excel keeps."""
_EPOCH = date(1899, 12, 30)
_FIRST_SURE = date(1900, 3, 1)
"""Excel has a 29 February 1900, so days before it have two numbers."""
_UNSAFE = re.compile(r"[&<>\x00-\x08\x0b\x0c\x0e-\x1f\r\ud800-\udfff\ufffe\uffff]|_x(?=[0-9A-Fa-f]{4}_)")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "_x": "_x005F_x"}


def units(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escaped(text: str) -> str:
    """Return a text as XML holds it; what XML cannot hold as _xHHHH_ (ECMA-376, ST_Xstring)."""
    return _UNSAFE.sub(lambda found: _NAMED.get(found[0]) or f"_x{ord(found[0]):04X}_", text)


def text_cell(text: str, style: Style | None = None) -> str:
    """Return a text as a cell without its place, cut to what a cell holds.

    It is a text whatever it begins with. What begins as a formula does is marked as typed with an apostrophe, so that
    editing the cell makes none of it.
    """
    if len(text) > LONGEST // 2 and units(text) > LONGEST:
        text = text.encode("utf-16-le")[: (LONGEST - 1) * 2].decode("utf-16-le", "ignore") + "…"
    if style is None:
        style = Style.TEXT if disarm(text) == text else Style.ARMED
    return f' t="inlineStr" s="{style}"><is><t xml:space="preserve">{escaped(text)}</t></is></c>'


def is_exact(text: str) -> bool:
    """Say whether a double, and Excel, keep a decimal as it is written."""
    if _DECIMAL.fullmatch(text) is None:
        return False
    digits = text.lstrip("-").replace(".", "")
    return len(digits.lstrip("0").rstrip("0" if "." not in text else "")) <= DIGITS


def serial_day(value: date) -> str | None:
    """Return the number of a day; None before Excel's calendar is right."""
    return str((value - _EPOCH).days) if value >= _FIRST_SURE else None


def serial_time(value: datetime) -> str | None:
    """Return the number of a time of day of its own zone, in whole seconds; None as `serial_day`."""
    day = serial_day(value.date())
    seconds = value.hour * 3600 + value.minute * 60 + value.second
    return None if day is None else day if not seconds else repr(int(day) + seconds / 86400)
