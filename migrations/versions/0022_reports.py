"""When the org's fiscal year begins, and reports of its own."""

from crm_mcp.tablekit import Column, extend, run, table

revision = "0022"
down_revision = "0021"


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
        table(
            "reports",
            Column("name", "text not null check (name ~ '^[a-z][a-z0-9_]{0,59}$')", "Name that run_report takes."),
            Column(
                "definition",
                "text not null check (length(definition) <= 40000)",
                "Its header and its one SELECT, as `crm-mcp reports add` took them.",
            ),
            prefix="rep",
            roles=("admin",),
            description="Reports of the org's own; list_reports shows them beside those that come with the program.",
            extra=("unique (org_id, name)",),
        ),
        iter(["update crm.schema_state set revision = '0022'"]),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
