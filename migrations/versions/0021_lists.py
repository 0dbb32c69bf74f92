"""Indexes that lists and reports at size were measured to lack, for those that stood twice; when a note was written."""

from collections.abc import Iterator

from crm_mcp.tablekit import Column, extend, run

revision = "0021"
down_revision = "0020"


def indexes() -> Iterator[str]:
    for twice in ("deals_who", "deals_from", "issues_by", "activities_contact"):
        yield f"drop index crm.{twice}"
    # what a customer's orders come to is read from the index alone
    yield "drop index crm.orders_of"
    yield (
        "create index orders_of on crm.orders(org_id, customer_id, placed_at desc, id desc) include (status, base_total)"
    )
    yield "create index orders_status on crm.orders(org_id, status, placed_at desc, id desc)"
    yield "drop index crm.deals_with"
    yield (
        "create index deals_with on crm.deals(org_id, organization_id) include (archived_at) "
        "where organization_id is not null"
    )
    yield "create index deals_amount on crm.deals(org_id, amount desc nulls last, id desc) where archived_at is null"
    for name in ("organizations", "customers", "deals", "leads"):
        yield f"create index {name}_created on crm.{name}(org_id, created_at desc, id desc) where archived_at is null"


def written() -> Iterator[str]:
    """Yield what tells when a note was written apart from when it was brought over."""
    meaning = "When it was written; null where a note was brought over without saying so."
    yield from extend("notes", Column("written_at", "timestamptz", meaning))
    yield "alter table crm.notes disable trigger user"
    yield """update crm.notes n set written_at = n.created_at where not exists (select from crm.external_refs f
        where f.org_id = n.org_id and f.entity = 'notes' and f.record_id = n.id)"""
    yield "alter table crm.notes enable trigger user"
    yield "alter table crm.notes alter column written_at set default now()"


def upgrade() -> None:
    run(indexes())
    run(written())
    run(iter(["update crm.schema_state set revision = '0021'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
