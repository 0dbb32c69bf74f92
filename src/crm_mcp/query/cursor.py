"""What a judged statement stands within when it runs: a cursor over rows that are not too large."""

HEAD = "declare found no scroll cursor without hold for select q.* from ("
TAIL = "\n) q where query.row_fits(pg_column_size(q))"


def declared(sql: str) -> str:
    """Return the statement that runs; Postgres counts the places that it points to from its beginning."""
    return f"{HEAD}{sql}{TAIL}"


def place_in(sql: str, position: str | None) -> int | None:
    """Return where in a statement Postgres points to, counted from 0; None where it is not within it."""
    if position is None or not position.isdigit():
        return None
    at = int(position) - 1 - len(HEAD)
    return at if 0 <= at < len(sql) else None
