"""Which memories a principal is told."""

from . import subjects

LIVE = (
    "l.forgotten_at is null and l.archived_at is null and (l.expires_at is null or l.expires_at > clock_timestamp())"
)
"""The SQL condition that a memory is told: it is neither deleted nor over."""


def seen_sql(row: str) -> str:
    """Return the SQL condition that the principal may see a memory: it is about what they may see, and nobody else's own."""
    return f"(coalesce({row}.user_id, %(user)s) = %(user)s and {subjects.visible_sql(row)})"
