"""Whether a statement that was written anew from its tree still says what the tree says.

libpg_query leaves out brackets that some nestings need, as of a comparison within BETWEEN. What was judged must be what runs.
"""

from typing import Any

from postgast import PgQueryError, parse

_PLACES = frozenset(
    "location stmt_location stmt_len name_location val_location list_start list_end rexpr_list_start rexpr_list_end".split()
)
"""Fields that say where something stood."""


def says(sql: str, tree: Any) -> bool:
    """Say whether the text is read as the tree."""
    try:
        return _is_same(parse(sql), tree)
    except PgQueryError:
        return False


def _is_same(one: Any, other: Any) -> bool:
    if one.DESCRIPTOR is not other.DESCRIPTOR:
        return False
    fields = [(field, value) for field, value in one.ListFields() if field.name not in _PLACES]
    others = [(field, value) for field, value in other.ListFields() if field.name not in _PLACES]
    if [field.name for field, _ in fields] != [field.name for field, _ in others]:
        return False
    for (field, value), (_, its) in zip(fields, others, strict=True):
        if field.message_type is None:
            if value != its:
                return False
        elif hasattr(value, "DESCRIPTOR"):
            if not _is_same(value, its):
                return False
        elif len(value) != len(its) or not all(map(_is_same, value, its)):
            return False
    return True
