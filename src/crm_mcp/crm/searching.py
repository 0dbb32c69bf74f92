"""What search looks in, how a passage is shown, and how current the index is said to be."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from .. import ids
from ..degraded import Degraded
from ..errors import Refusal
from ..invisible import is_invisible
from .entities import ENTITIES, entity_of

TEXTS = ("activities", "emails", "articles")
"""What has passages and is no kind of record that the generic tools show."""
NUMBERED = ("orders", "quotes", "invoices", "credit_notes")
"""What is found by its number alone."""
WITHOUT = ("products",)
"""Kinds of records that have no passages."""
PART = "search index"
LATE = timedelta(seconds=60)
"""How far behind the index may be before an answer says that a part is away."""
SHOWN = 420
"""Characters of a passage in a list of several."""
_WORD = re.compile(r"\w{2,}")


def tables(names: Sequence[str], seen: Collection[str] | None) -> list[str]:
    """Return the tables that names mean, for a role that sees some; None: all of them.

    Raises:
        Refusal: UNKNOWN_ENTITY.
    """
    there = [t for t in (*ENTITIES, *TEXTS, *NUMBERED) if t not in WITHOUT and (seen is None or t in seen)]
    others = {
        alias: table for table in (*TEXTS, *NUMBERED) for alias in (table, ids.NOUN[table], ids.NOUN[table] + "s")
    }
    found: list[str] = []
    for name in names:
        table = others.get(name.strip().lower())
        if table is None or table not in there:
            try:
                table = entity_of(name, [t for t in there if t in ENTITIES]).table
            except Refusal as unknown:
                raise Refusal(unknown.error, unknown.hint, **{**unknown.context, "known": there}) from None
        found.append(table)
    return found


def shown(row: Mapping[str, Any], query: str, *, whole: bool) -> dict[str, Any]:
    """Return a passage as a tool shows it; cut to what is near the query's words, unless it is read `whole`."""
    text = visible(row["passage"] or "")
    parts = row["parts"]
    return {
        **row,
        "id": ids.show(row["entity"], row["number"]),
        "title": visible(row["title"] or "") or None,
        "section": visible(row["section"] or "") or None,
        "passage": (text if whole else near(text, query)) or None,
        "part": f"{row['part'] + 1}/{parts}" if parts and parts > 1 else None,
    }


def visible(text: str) -> str:
    """Return a text without characters that nobody sees: they could hide words from the person and not from the model."""
    return "".join(c for c in text if c in "\n\t" or not is_invisible(c))


def near(text: str, query: str, most: int = SHOWN) -> str:
    """Return what stands around the first of a query's words in a text, at most so many characters."""
    if len(text) <= most:
        return text
    lower = text.lower()
    places = [at for word in _WORD.findall(query.lower()) if len(word) > 2 and (at := lower.find(word)) >= 0]
    start = max(0, min(places, default=0) - most // 4)
    if start:
        space = text.find(" ", start, start + 30)
        start = space + 1 if space >= 0 else start
    end = min(len(text), start + most)
    return ("…" if start else "") + text[start:end].strip() + ("…" if end < len(text) else "")


def currency(
    behind: int, since: datetime | None, is_built: bool, now: datetime, degraded: Degraded
) -> dict[str, Any]:
    """Return what `_meta.index` says of how current the index is, and note where it is too far behind.

    `behind` counts changes that are not in it yet, the first of which was made at `since`.
    """
    lag = max(timedelta(0), now - since) if since is not None else timedelta(0)
    if not is_built:
        degraded.lost(
            PART, "it is being built: records are found by id, number, e-mail and phone; texts may be missing"
        )
    elif lag > LATE:
        degraded.lost(
            PART, f"texts changed since {since:%Y-%m-%d %H:%M} UTC may be missing; the worker does not follow"
        )
    else:
        degraded.back(PART)
    return {
        "indexedThrough": (since or now).isoformat(),
        "lagSeconds": int(lag.total_seconds()),
        "behind": f"{behind}+" if behind >= 10_000 else behind,
        **({} if is_built else {"isBuilt": False}),
    }
