"""A read's arguments as the person means them, by what they asked for once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .audit import Statement
from .context import Read
from .crm import preferred
from .errors import Refusal
from .memory.applying import SURE, WISHABLE, Wish, applied
from .principal import Principal
from .tool import Args, Tool

_WISHES = """select coalesce(jsonb_agg(jsonb_build_array(p.id, p.argument, p.word, p.meant) order by p.id), '[]'),
 (select s.page_size from crm.personal_settings s where s.org_id = %(org)s and s.user_id = %(user)s and s.archived_at is null)
 from crm.preferences p where p.org_id = %(org)s and p.user_id = %(user)s and p.tool = %(tool)s and p.forgotten_at is null
  and p.archived_at is null and p.source = 'person' and p.confidence >= %(sure)s"""
LIMIT = "limit"
"""The argument that a person's own page size stands in for."""


class Meant(NamedTuple):
    """Arguments, the wishes that are in them, and those that no longer fit."""

    args: Args
    wishes: Sequence[Wish] = ()
    unfit: Sequence[Wish] = ()
    page_size: int | None = None
    """The person's own, where it is in the arguments."""

    def meta(self) -> dict[str, list[str]]:
        """Return what the answer's `_meta` says of it."""
        applied = [wish.told() for wish in self.wishes]
        if self.page_size is not None:
            applied.append(f"{LIMIT} is {self.page_size}, as update_preferences set it.")
        said = {"applied": applied} if applied else {}
        if self.unfit:
            said["notApplied"] = [
                f"pref_{wish.id} no longer fits; delete_preference forgets it." for wish in self.unfit
            ]
        return said


def used(who: Principal, wishes: Sequence[Wish]) -> list[Statement]:
    """Return the statements that count what was applied."""
    return [preferred.used(who, "preference", [wish.id for wish in wishes], is_applied=True)] if wishes else []


def may_be_meant(tool: Tool) -> bool:
    """Say whether wishes are applied to a tool's calls."""
    return tool.name in WISHABLE


async def meant(ctx: Read, tool: Tool, raw: dict[str, object]) -> Meant:
    """Return a call's arguments with the person's wishes in them; what does not validate with them is taken as it was given.

    Raises:
        Refusal: INVALID_ARGUMENT, of the arguments as they were given.
    """
    row = await ctx.one(_WISHES, tool=tool.name, sure=SURE)
    rows: list[list[Any]] = row[0] if row else []
    page_size: int | None = row[1] if row else None
    known = [Wish(number, tool.name, argument, word, value) for number, argument, word, value in rows]
    found = applied([wish for wish in known if wish.argument in WISHABLE[tool.name]], tool.name, raw)
    arguments = dict(found.arguments)
    if page_size is not None and LIMIT in WISHABLE[tool.name] and LIMIT not in arguments:
        arguments[LIMIT] = page_size
    else:
        page_size = None
    try:
        return Meant(tool.parse(arguments), found.wishes, (), page_size)
    except Refusal:
        return Meant(tool.parse(raw), (), found.wishes)
