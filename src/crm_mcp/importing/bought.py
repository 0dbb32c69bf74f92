"""Put the rows of orders and of their lines together, and let what is wrong with one be wrong with all of them."""

from dataclasses import dataclass, field

from .fields import ORDERS
from .rows import Row
from .sheet import Entry, Sheet

SIBLING = "its order was rejected"


@dataclass(slots=True)
class Bought:
    """An order as its file has it. `head` is a row of its own, or made from the first of its lines."""

    external: str
    head: Entry
    lines: list[Entry] = field(default_factory=list[Entry])
    lines_file: str = ""
    order: Row = field(default_factory=dict[str, object])
    rows: list[Row] = field(default_factory=list[Row])

    def is_wrong(self) -> bool:
        return bool(self.head.wrong)


def group(sheet: Sheet, lines: Sheet | None) -> list[Bought]:
    """Return the orders that have an id, each with its lines; mark what has no partner."""
    return _flat(sheet) if lines is None else _joined(sheet, lines)


def settle(bought: list[Bought]) -> None:
    """Carry what is wrong from a line to its order, and from an order to all of its lines."""
    for one in bought:
        if not one.is_wrong():
            wrong = next((line for line in one.lines if line.wrong), None)
            if wrong is not None:
                one.head.wrong.append(f"line {wrong.line} of {one.lines_file}: {wrong.wrong[0]}")
        if one.is_wrong():
            for line in one.lines:
                if not line.wrong:
                    line.wrong.append(f"{SIBLING}: {one.head.wrong[0]}")


def _joined(sheet: Sheet, lines: Sheet) -> list[Bought]:
    orders: dict[str, Bought] = {}
    twins: list[Bought] = []
    for entry in sheet.entries:
        external = entry.values.get("external_id")
        if external is None:
            continue
        one = Bought(external, entry, lines_file=lines.file.name)
        if external in orders:
            twins.append(one)
        else:
            orders[external] = one
    for line in lines.entries:
        number = line.values.get("order")
        if number in orders:
            orders[number].lines.append(line)
        elif number is not None:
            line.wrong.append(f"order {number!r} is not in {sheet.file.name}")
    for one in orders.values():
        if not one.lines and not one.is_wrong():
            one.head.wrong.append(f"has no lines in {lines.file.name}")
    for one in twins:
        one.lines = orders[one.external].lines
    return [*orders.values(), *twins]


def _flat(sheet: Sheet) -> list[Bought]:
    """Return the orders of a file with a row a line; the rows of one order must say the same of it."""
    orders: dict[str, Bought] = {}
    header = sheet.mapped()
    of_the_order = [field.name for field in ORDERS if field.name in header]
    for entry in sheet.entries:
        external = entry.values.get("external_id")
        if external is None:
            continue
        one = orders.get(external)
        if one is None:
            head = Entry(entry.line, entry.cells, dict(entry.values))
            one = orders[external] = Bought(external, head, lines_file=sheet.file.name)
        one.lines.append(entry)
        for name in of_the_order:
            if entry.values.get(name) != one.head.values.get(name):
                entry.wrong.append(f"{header[name]} differs from line {one.head.line} of the same order")
    return list(orders.values())
