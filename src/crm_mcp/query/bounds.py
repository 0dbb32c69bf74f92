"""Bounds on functions that can make much of little: their sizes must be written out, and small."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from postgast.walk import unwrap_node

from ..errors import Refusal

MOST_SERIES = 10_000
"""Rows of one generate_series."""
MOST_PADDED = 200
"""Characters that lpad, rpad and repeat may make."""
_STRINGS = re.compile(r"(?:[^%]|%%|%s)*")


def inner(node: Any) -> Any:
    """Return the node in its wrapping."""
    return unwrap_node(node)


def kind_of(node: Any) -> str:
    """Return the name of a node's kind, as the grammar has it."""
    return str(node.DESCRIPTOR.name)


def words(nodes: Any) -> list[str]:
    """Return the parts of a name."""
    return [str(inner(node).sval) for node in nodes]


def number_of(node: Any) -> int | None:
    """Return the whole number that a node is, None where it is something else."""
    node = inner(node)
    if kind_of(node) == "TypeCast":
        return number_of(node.arg)
    if kind_of(node) == "A_Expr" and not node.HasField("lexpr") and words(node.name) == ["-"]:
        number = number_of(node.rexpr)
        return None if number is None else -number
    if kind_of(node) != "A_Const" or node.isnull:
        return None
    if node.WhichOneof("val") == "ival":
        return int(node.ival.ival)
    return None


def _series(args: list[Any]) -> None:
    """A series of numbers is bounded by its literal ends, one of times by the rows it may have at the shortest step."""
    numbers = [number_of(arg) for arg in args]
    if all(number is not None for number in numbers):
        start, stop, *step = [number or 0 for number in numbers]
        if abs(stop - start) // max(1, abs(step[0] if step else 1)) > MOST_SERIES:
            raise Refusal("SQL_REFUSED", f"generate_series may make {MOST_SERIES} rows; use a larger step.")
        return
    if len(args) == 3 and _is_interval(args[2]):
        return
    hint = (
        "generate_series takes whole numbers, written out, or two dates and a step written out as interval '1 day', an hour "
        "at the least. For more numbers use row_number() over ()."
    )
    raise Refusal("SQL_REFUSED", hint)


_STEP = re.compile(r"\s*\+?(\d{1,4})\s*(hour|day|week|month|mon|quarter|year)s?\s*")


def _is_interval(step: Any) -> bool:
    """Say whether a step is written out, an hour or more; a text with a unit can be read as an interval alone."""
    if kind_of(step) == "TypeCast":
        if words(step.type_name.names)[-1:] != ["interval"]:
            return False
        step = inner(step.arg)
    if kind_of(step) != "A_Const" or step.WhichOneof("val") != "sval":
        return False
    found = _STEP.fullmatch(step.sval.sval.lower())
    return found is not None and int(found[1]) > 0


def _padded(args: list[Any]) -> None:
    number = number_of(args[1]) if len(args) > 1 else None
    if number is None or number > MOST_PADDED:
        raise Refusal("SQL_REFUSED", f"lpad, rpad and repeat take a length written out, up to {MOST_PADDED}.")


def _formatted(args: list[Any]) -> None:
    first = args[0] if args else None
    text = (
        first.sval.sval
        if first is not None and kind_of(first) == "A_Const" and first.WhichOneof("val") == "sval"
        else None
    )
    if text is None or _STRINGS.fullmatch(text) is None:
        raise Refusal("SQL_REFUSED", "format takes its pattern written out, with %s and %% alone; or use concat.")


BOUNDED: Mapping[str, Callable[[list[Any]], None]] = {
    "generate_series": _series,
    "lpad": _padded,
    "rpad": _padded,
    "repeat": _padded,
    "format": _formatted,
}
