"""Planted bugs: what somebody might do in two transactions instead of one, killed between them. The oracles must see each."""

import psycopg
from campaign_processes import die


def edit_by_halves_until(point: str, conninfo: str, draft: int) -> None:
    """Keep what a draft was in a transaction of its own, and be killed before the draft is anything else."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(
            "insert into crm.draft_versions(org_id, draft_id, version, args, shown, summary, amount, edited_by, reason, call_id)"
            " select org_id, id, version, args, shown, summary, amount, requester, 'a campaign', call_id from crm.drafts where id = %s",
            (draft,),
        )
        die()


def approve_naively_until(point: str, conninfo: str, draft: int) -> None:
    """Approve in two transactions, and be killed between them."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("insert into campaign.orders(draft) values (%s)", (draft,))
        die()


def revise_by_halves_until(point: str, conninfo: str, draft: int, comment: str) -> None:
    """Count a version in a transaction of its own, and be killed before it is kept and audited."""
    counted = "version = version + 1, args = (args::jsonb || jsonb_build_object('comment', %s::text))::text"
    _put_and_die(conninfo, draft, counted, comment)


def decide_item_until(point: str, conninfo: str, draft: int) -> None:
    """Put the decision of an item down in a transaction of its own, and be killed before its effects and signature."""
    _put_and_die(conninfo, draft, "state = 'approved'")


def spend_item_until(point: str, conninfo: str, draft: int) -> None:
    """Use an item of a signed list up in a transaction of its own, and be killed before it is decided."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("update crm.passkey_challenge_items set used_at = now() where draft_id = %s", (draft,))
        die()


def _put_and_die(conninfo: str, draft: int, what: str, *params: object) -> None:
    """Change a draft alone, past the triggers that would not have it, and be killed."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        with conn.transaction():
            conn.execute("alter table crm.drafts disable trigger user")
            conn.execute(f"update crm.drafts set {what} where id = %s", (*params, draft))
            conn.execute("alter table crm.drafts enable trigger user")
        die()
