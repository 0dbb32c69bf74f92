"""Preferences: what a person asked for, kept without personal data, applied to their own calls alone."""

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import func, select, text

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..memory.applying import WISHABLE
from ..memory.redaction import redact
from .models import Preference

MOST = 200
"""Preferences of one person that are kept at a time."""
USUAL = {"preference": "0.9", "correction": "0.9", "decision": "0.9", "pattern": "0.5"}
"""How sure one is when nobody says: what a person said is surer than what somebody noticed."""
SHOWN = """jsonb_strip_nulls(jsonb_build_object('id', 'pref_' || p.id, 'kind', p.kind, 'text', p.content, 'confidence', p.confidence,
   'tool', p.tool, 'argument', p.argument, 'word', p.word, 'means', p.meant, 'applied', u.uses, 'savedAt', p.created_at,
   'by', case p.via when 'agent' then p.via_agent || ' agent' else 'you' end))"""
FROM = "crm.preferences p left join crm.preference_uses u on u.org_id = p.org_id and u.preference_id = p.id"
MINE = "p.org_id = %(org)s and p.user_id = %(user)s and p.forgotten_at is null and p.archived_at is null"
LEARNT = """select jsonb_build_object('id', 'draft_' || d.id, 'kind', 'correction', 'by', a.name, 'text',
   case d.state when 'rejected' then d.tool || ' was rejected: ' || left(d.decision_reason, 300)
    else d.tool || ' was edited before it was approved: ' || left(v.reason, 300) end, 'savedAt', d.decided_at) as shown, d.decided_at as at
 from crm.drafts d join crm.users a on a.id = d.approver
 left join lateral (select v.reason from crm.draft_versions v where v.org_id = d.org_id and v.draft_id = d.id and v.agent is null
   and v.edited_by <> d.requester order by v.version desc limit 1) v on true
 where d.org_id = %(org)s and d.requester = %(user)s and d.decided_at > now() - interval '90 days'
  and ((d.state = 'rejected' and d.decision_reason is not null) or (d.state = 'approved' and v.reason is not null))"""
"""What deciding people corrected: drafts of the person's that were rejected with a reason, or edited by somebody else."""

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


async def save(
    ctx: Write, kind: str, content: str, confidence: float | None, wanted: Wanted | None
) -> tuple[Preference, bool]:
    """Keep a preference; what says the same, or is applied to the same, takes its place. Return it, and whether it is new.

    Raises:
        Refusal: PREFERENCES_FULL; NOTHING_LEFT where it was personal data alone.
    """
    left = redact(content)
    if not left.text.strip() or (left.kinds and not _words(left.text)):
        raise Refusal("NOTHING_LEFT", "Personal data is not remembered, and nothing else was in it.")
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
    found.kind, found.content, found.redacted = kind, left.text, list(left.kinds)
    found.via = "agent" if who.agent else "person"
    found.confidence = Decimal(str(confidence)) if confidence is not None else Decimal(USUAL[kind])
    if wanted is not None:
        found.tool, found.argument, found.word, found.meant = wanted.tool, wanted.argument, wanted.word, wanted.means
    await ctx.session.flush()
    return found, is_new


async def forget(ctx: Write, name: str) -> Preference:
    """Take one of the person's own out; undo_change brings it back.

    Raises:
        Refusal: PREFERENCE_NOT_FOUND, of another person's too; INVALID_ID.
    """
    who, number = ctx.principal, ids.parse("preferences", name)
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


def _words(text: str) -> bool:
    """Say whether anything but marks of what was taken out is left."""
    return re.search(r"\w", re.sub(r"\[[\w -]+\]", "", text)) is not None
