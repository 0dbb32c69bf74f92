"""How a run is called where people see it: `run_12`."""

import re

from ..errors import Refusal

_SHAPE = re.compile(r"run_([1-9]\d{0,17})", re.ASCII)


class RunNotFound(Refusal):
    """No such run of this person: never made, another's, another org's, or forgotten."""

    def __init__(self, given: str) -> None:
        hint = "There is no such run of yours; `crm-mcp agents runs list` shows those there are."
        super().__init__("RUN_NOT_FOUND", hint, searchedId=given[:60])


def show(run: int) -> str:
    """Return what a run is called."""
    return f"run_{run}"


def parse(text: str) -> int:
    """Return a run's number.

    Raises:
        RunNotFound: this calls none.
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise RunNotFound(text)
    return int(found[1])
