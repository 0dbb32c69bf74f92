"""When the org's fiscal year begins, and reports of its own."""

from crm_mcp.tablekit import Column, extend, run

revision = "0022"
down_revision = "0019"


def upgrade() -> None:
    run(
        extend(
            "org_settings",
            Column(
                "fiscal_year_start",
                "int not null default 1 check (fiscal_year_start between 1 and 12)",
                "Month in which the fiscal year begins, 1 to 12; it is named by the calendar year it ends in.",
            ),
        ),
        iter(["update crm.schema_state set revision = '0022'"]),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
