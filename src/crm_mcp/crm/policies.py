"""The org's policy: the edition in force, and the next one.

An edition is only added, never changed. It counts once a person has approved it: Postgres sees to who may, and lets
the guard follow (`crm.apply_policy`).
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from ..context import Write
from ..errors import Refusal
from ..policy_document import IN_FORCE, Policy, changed, difference
from .models import PolicyEdition

_LOOSENED = "select crm.policy_loosened(%s::jsonb, %s::jsonb)"


class Setting(NamedTuple):
    """What becomes of one setting, and whether more would happen without a person, or with fewer."""

    setting: str
    before: str | None
    after: str | None
    loosens: bool

    @property
    def words(self) -> str:
        return f"{self.setting} from {self.before or 'unsaid'} to {self.after or 'unsaid'}"


async def in_force(ctx: Write) -> Policy:
    conn = await ctx.session.connection()
    return Policy.in_force((await conn.exec_driver_sql(IN_FORCE, (ctx.principal.org,))).one())


async def change(ctx: Write, settings: Mapping[str, object]) -> tuple[int, list[Setting]]:
    """Add the next edition, with other values of some settings; return it and what it changes.

    Raises:
        Refusal: INVALID_POLICY; NOTHING_TO_CHANGE.
    """
    before = await in_force(ctx)
    return await _add(ctx, before, changed(before, settings))


async def take_back(ctx: Write, edition: int) -> tuple[int, list[Setting]]:
    """Add an edition that says what was said before another, which must be the last.

    Raises:
        Refusal: CHANGED_SINCE.
    """
    now = await in_force(ctx)
    if now.version != edition:
        hint = "The policy was changed again since; take that back first, or change it anew."
        raise Refusal("CHANGED_SINCE", hint, edition=edition, inForce=now.version)
    conn = await ctx.session.connection()
    asked = "select crm.policy_before(%s, %s)"
    before = (await conn.exec_driver_sql(asked, (ctx.principal.org, edition))).scalar_one()
    return await _add(ctx, now, Policy.of(edition, before))


async def _add(ctx: Write, before: Policy, after: Policy) -> tuple[int, list[Setting]]:
    differs = difference(before, after)
    if not differs:
        raise Refusal("NOTHING_TO_CHANGE", "The policy says so already.", edition=before.version)
    conn = await ctx.session.connection()
    documents = json.dumps(before.document()), json.dumps(after.document())
    loosened: list[str] = (await conn.exec_driver_sql(_LOOSENED, documents)).scalar_one()
    settings = [Setting(*one, one.setting in loosened) for one in differs]
    made = PolicyEdition(
        org_id=ctx.principal.org,
        edition=before.version + 1,
        document=after.document(),
        changes=[one._asdict() for one in settings],
    )
    ctx.session.add(made)
    await ctx.session.flush()
    return made.edition, settings
