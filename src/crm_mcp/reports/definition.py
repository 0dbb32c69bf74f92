"""The reports that come with the program: each a .sql file here whose header says what it takes and means."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ..principal import Role
from .header import read_file
from .report import Report

HERE = Path(__file__).parent


@cache
def every() -> Mapping[str, Report]:
    """Return all reports by name.

    Raises:
        HeaderInvalid: a header is not of its form.
    """
    return {file.stem: read_file(file) for file in sorted(HERE.glob("*.sql"))}


def named(name: str, role: Role) -> Report | None:
    """Return the report of a name, or of one that it had before, if the role may run it."""
    return next((r for r in every().values() if name in (r.name, *r.formerly) and role in r.roles), None)
