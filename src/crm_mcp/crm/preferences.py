"""Preferences: what a person asked for, kept without personal data, applied to their own calls alone."""

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy import func, select, text

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..memory.applying import WISHABLE
from ..memory.redaction import redact, region_of
from . import planted
from .models import Preference

MOST = 200
"""Preferences of one person that are kept at a time."""
USUAL = {"preference": "0.9", "correction": "0.9", "decision": "0.9", "pattern": "0.5"}
"""How sure one is when nobody says: what a person said is surer than what somebody noticed."""
_ALONE = text(
    "select pg_advisory_xact_lock(hashtextextended('preferences of ' || cast(:org as text) || '/' || cast(:user as text), 0))"
)
"""One at a time for a person: two calls at once that say the same are one preference."""


_RULE = re.compile(r"\s*([a-z_]{1,60})\.([a-z_]{1,60})\s*(?::\s*(\S.{0,59}?))?\s*=\s*(\S.{0,99}?)\s*", re.DOTALL)
SHAPE = "tool.argument: word = value, or tool.argument = value for what is meant where nothing is said"


class Wanted(NamedTuple):
    """What is to be applied: in calls of a tool an argument `means` something, where `word` is said or nothing is."""

    tool: str
    argument: str
    word: str | None
    means: str | int | float

    @classmethod
    def read(cls, rule: str) -> "Wanted":
        """Read a rule such as `get_orders.status: sent = shipped` or `get_orders.limit = 20`.

        Raises:
            Refusal: INVALID_ARGUMENT, naming its shape, or what it can be about.
        """
        if redact(rule).kinds:
            raise _wrong("holds personal data, which is not remembered")
        found = _RULE.fullmatch(rule)
        if found is None:
            raise _wrong(f"is of the shape {SHAPE}")
        tool, argument, word, means = found.groups()
        if tool not in WISHABLE:
            near = difflib.get_close_matches(tool, WISHABLE, 1, 0.4)
            raise _wrong(f"can be about {', '.join(sorted(WISHABLE))}", *near)
        if argument not in WISHABLE[tool]:
            raise _wrong(f"of {tool} it can be about {', '.join(sorted(WISHABLE[tool]))}")
        return cls(tool, argument, word, _number(means))


def _number(text: str) -> str | int | float:
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    return float(text) if re.fullmatch(r"\d{1,9}\.\d{1,9}", text, re.ASCII) else text


def _wrong(what: str, *near: str) -> Refusal:
    more: Mapping[str, Any] = {"suggestions": list(near)} if near else {}
    return Refusal("INVALID_ARGUMENT", f"apply {what}.", argument="apply", **more)


Source = Literal["person", "agent", "document"]


def source_of(kind: str, said: Source | None, wanted: Wanted | None) -> str:
    """Return who a preference comes from: the person, but a pattern is what an agent noticed of them.

    Raises:
        Refusal: NOT_THEIR_WORD, of what a document said, and of a rule that is not the person's own word.
    """
    source = said or ("agent" if kind == "pattern" and wanted is None else "person")
    if source == "document":
        hint = "What a note, e-mail or document says is nobody's wish. Ask the person; save_memory keeps it as what was read."
        raise Refusal("NOT_THEIR_WORD", hint, argument="source")
    if wanted is not None and source != "person":
        hint = "Only what the person said themselves is applied. Ask them, or save it without apply."
        raise Refusal("NOT_THEIR_WORD", hint, argument="apply")
    return source


async def save(
    ctx: Write,
    kind: str,
    content: str,
    confidence: float | None,
    wanted: Wanted | None,
    said: Source | None = None,
    rule: str | None = None,
) -> tuple[Preference, bool]:
    """Keep a preference; what says the same, or is applied to the same, takes its place. Return it, and whether it is new.

    `said` is who it comes from, `rule` what is wanted, as it was written.

    Raises:
        Refusal: PREFERENCES_FULL; NOTHING_LEFT where it was personal data alone; NOT_THEIR_WORD.
    """
    source = source_of(kind, said, wanted)
    left = redact(content, region_of(ctx.principal.timezone))
    if not left.text.strip() or (left.kinds and not has_words(left.text)):
        raise Refusal("NOTHING_LEFT", "Personal data is not remembered, and nothing else was in it.")
    await planted.see_that_none_says(ctx, content, *([rule] if rule else []))
    who = ctx.principal
    await ctx.session.execute(_ALONE, {"org": who.org, "user": who.user})
    mine = (
        Preference.org_id == who.org,
        Preference.user_id == who.user,
        Preference.forgotten_at.is_(None),
        Preference.archived_at.is_(None),
    )
    if wanted is None:
        same = func.lower(Preference.content) == left.text.lower(), Preference.tool.is_(None)
    else:
        word = func.lower(func.coalesce(Preference.word, ""))
        same = (
            Preference.tool == wanted.tool,
            Preference.argument == wanted.argument,
            word == (wanted.word or "").lower(),
        )
    found = await ctx.session.scalar(select(Preference).where(*mine, *same).with_for_update())
    is_new = found is None
    if found is None:
        count = await ctx.session.scalar(select(func.count()).select_from(Preference).where(*mine))
        if (count or 0) >= MOST:
            raise Refusal(
                "PREFERENCES_FULL", f"{MOST} are kept; delete_preference takes one out. find_preferences lists them."
            )
        found = Preference(org_id=who.org, user_id=who.user)
        ctx.session.add(found)
    elif found.source == "person" and source == "agent":
        return found, False  # what they said themselves is surer than what was noticed
    found.kind, found.content, found.redacted = kind, left.text, list(left.kinds)
    found.via, found.source = ("agent" if who.agent else "person"), source
    found.confidence = Decimal(str(confidence)) if confidence is not None else Decimal(_usual(kind, source))
    if wanted is not None:
        found.tool, found.argument, found.word, found.meant = wanted.tool, wanted.argument, wanted.word, wanted.means
    await ctx.session.flush()
    return found, is_new


def _usual(kind: str, source: str) -> str:
    return USUAL["pattern"] if source == "agent" else USUAL[kind]


async def forget(ctx: Write, name: str) -> Preference:
    """Take one of the person's own out; undo_change brings it back.

    Raises:
        Refusal: PREFERENCE_NOT_FOUND, of another person's too; INVALID_ID.
    """
    who = ctx.principal
    try:
        number = ids.parse("preferences", name)
    except Refusal as bad:
        raise Refusal(bad.error, f"{bad.hint} A memory's, mem_123, will do too.", **bad.context) from None
    found = await ctx.session.scalar(
        select(Preference)
        .where(Preference.org_id == who.org, Preference.user_id == who.user, Preference.id == number)
        .where(Preference.forgotten_at.is_(None), Preference.archived_at.is_(None))
        .with_for_update()
    )
    if found is None:
        raise Refusal("PREFERENCE_NOT_FOUND", "find_preferences lists yours.", searchedId=name)
    found.forgotten_at = ctx.now
    await ctx.session.flush()
    return found


def has_words(text: str) -> bool:
    """Say whether anything but marks of what was taken out is left."""
    return re.search(r"\w", re.sub(r"\[[\w -]+\]", "", text)) is not None
