"""How cells look: the formats that a workbook declares, by their place."""

from enum import StrEnum
from xml.sax.saxutils import quoteattr

BEGIN = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


class Style(StrEnum):
    """The cell formats, by their place in the styles."""

    GENERAL = "0"
    HEAD = "1"
    TEXT = "2"
    ARMED = "3"
    """A text that begins as a formula does."""
    DIGITS = "4"
    """A number that stays text, since no double holds it."""
    DAY = "5"
    TIME = "6"
    WHOLE = "7"
    ONE = "8"
    TWO = "9"
    THREE = "10"
    FOUR = "11"
    PROSE = "12"


MONEY = (Style.WHOLE, Style.ONE, Style.TWO, Style.THREE, Style.FOUR)
"""By how many decimals an amount has."""
_FORMATS = ("yyyy\\-mm\\-dd", "yyyy\\-mm\\-dd\\ hh:mm:ss", "#,##0", "#,##0.0", "#,##0.00", "#,##0.000", "#,##0.0000")
_FIRST_FORMAT = 164
"""Formats below are Excel's own; 49 is text."""


def styles() -> str:
    """Return the part of a workbook that declares them."""
    formats = "".join(
        f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>'
        for number, code in enumerate(_FORMATS, _FIRST_FORMAT)
    )
    text, top = ' applyNumberFormat="1"', '<alignment vertical="top" wrapText="1"/>'
    looks = [
        '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>',
        '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1" applyNumberFormat="1"/>',
        f'<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0"{text}/>',
        f'<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"{text}/>',
        f'<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyAlignment="1"{text}><alignment horizontal="right"/></xf>',
        *(
            f'<xf numFmtId="{number}" fontId="0" fillId="0" borderId="0" xfId="0"{text}/>'
            for number in range(_FIRST_FORMAT, _FIRST_FORMAT + len(_FORMATS))
        ),
        f'<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1" applyAlignment="1"{text}>{top}</xf>',
    ]
    assert len(looks) == len(Style)
    font = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
    return (
        f'{BEGIN}<styleSheet xmlns="{MAIN}"><numFmts count="{len(_FORMATS)}">{formats}</numFmts>'
        f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(looks)}">{"".join(looks)}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
