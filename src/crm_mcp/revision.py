"""The schema this program works with; a leaf, so that `serve` knows it without Alembic."""

CURRENT = "0030"
"""The newest migration's revision."""
OLDEST_CLIENT = "0028"
"""The oldest program revision that may use a database at CURRENT."""
