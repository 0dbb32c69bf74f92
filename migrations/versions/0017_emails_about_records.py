"""E-mails about any record that a note may be about, deals and leads among them."""

from collections.abc import Iterator

from crm_mcp.tablekit import run

revision = "0017"
down_revision = "0016"

SUBJECTS = (
    "customers", "contacts", "products", "quotes", "orders", "invoices", "payments", "issues", "tasks",
    "organizations", "individuals", "deals", "leads", "projects",
)  # fmt: skip


def emails() -> Iterator[str]:
    kinds = ", ".join(f"'{name}'" for name in SUBJECTS)
    yield "alter table crm.emails drop constraint emails_subject_type_check"
    yield f"alter table crm.emails add constraint emails_subject_type_check check (subject_type in ({kinds}))"


def upgrade() -> None:
    run(emails())
    run(iter(["update crm.schema_state set revision = '0017'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
