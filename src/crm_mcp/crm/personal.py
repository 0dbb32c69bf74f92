"""Personal settings: how the CRM behaves for one person, set by themselves alone."""

import difflib
import functools
import re
from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import select, text

from ..context import Write
from ..errors import Refusal
from .models import PersonalSettings

_ALONE = text(
    "select pg_advisory_xact_lock(hashtextextended('settings of ' || cast(:org as text) || '/' || cast(:user as text), 0))"
)
_LOCALE = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|\d{3}))?", re.ASCII | re.IGNORECASE)
"""Language, script and region of BCP 47: what tells how to write to somebody."""


@functools.cache
def _zones() -> Mapping[str, str]:
    return {one.casefold(): one for one in available_timezones() if not one.startswith(("posix", "right", "local"))}


def zone(name: str) -> str:
    """Return a time zone's name as IANA spells it.

    Raises:
        Refusal: INVALID_ARGUMENT, with names that are near.
    """
    known = _zones()
    asked = name.strip().replace(" ", "_").casefold()
    if asked in known:
        return known[asked]
    cities = {one.rpartition("/")[2]: one for one in known}
    if asked in cities:
        return known[cities[asked]]
    near = [known[cities.get(one, one)] for one in difflib.get_close_matches(asked, [*known, *cities], 3, 0.6)]
    hint = "timezone: give an IANA name such as Europe/Vienna."
    raise Refusal("INVALID_ARGUMENT", hint, argument="timezone", suggestions=list(dict.fromkeys(near)))


def locale(tag: str) -> str:
    """Return a language tag as BCP 47 recommends to write it.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    found = _LOCALE.fullmatch(tag.strip())
    if found is None:
        hint = "locale: give a language, with a country if it matters, such as de, de-AT or zh-Hant-TW."
        raise Refusal("INVALID_ARGUMENT", hint, argument="locale")
    language, script, region = found.groups()
    return "-".join(part for part in (language.lower(), script and script.title(), region and region.upper()) if part)


async def own(ctx: Write) -> PersonalSettings | None:
    """Return the person's own settings, locked; None where everything is as usual."""
    who = ctx.principal
    await ctx.session.execute(_ALONE, {"org": who.org, "user": who.user})
    return await ctx.session.scalar(
        select(PersonalSettings)
        .where(PersonalSettings.org_id == who.org, PersonalSettings.user_id == who.user)
        .where(PersonalSettings.archived_at.is_(None))
        .with_for_update()
    )


async def change(ctx: Write, values: Mapping[str, Any], reset: Collection[str]) -> PersonalSettings | None:
    """Set some of the person's own settings and leave others as usual again; return them.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if both := sorted(set(values) & set(reset)):
        raise Refusal("INVALID_ARGUMENT", f"{both[0]}: set it or reset it, not both.", argument=both[0])
    given = dict(values)
    if "timezone" in given:
        given["timezone"] = zone(given["timezone"])
    if "locale" in given:
        given["locale"] = locale(given["locale"])
    found = await own(ctx)
    if found is None:
        if not given:
            return None
        found = PersonalSettings(org_id=ctx.principal.org, user_id=ctx.principal.user)
        ctx.session.add(found)
    for name, value in {**given, **dict.fromkeys(reset)}.items():
        setattr(found, name, value)
    await ctx.session.flush()
    return found
