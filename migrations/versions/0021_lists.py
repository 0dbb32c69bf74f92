"""Indexes that lists and reports at size were measured to lack, for those that stood twice."""

from collections.abc import Iterator

from crm_mcp.tablekit import run

revision = "0021"
down_revision = "0019"


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


def upgrade() -> None:
    run(indexes())
    run(iter(["update crm.schema_state set revision = '0021'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
