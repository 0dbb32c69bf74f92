"""Working memory, and how the CRM behaves for one person."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, Column, definer, isolate, run, table

revision = "0027"
down_revision = "0026"
SQL = Path(__file__).parent.parent / "sql"
EVERYONE = ("admin", "sales", "operations", "finance", "support")
CHANGED = ("mail", "desktop", "decided", "timezone", "locale", "page_size", "archived_at", "custom_fields")


def personal_settings() -> Iterator[str]:
    yield from table(
        "personal_settings",
        Column("user_id", "bigint not null references crm.users", "Whose they are; nobody else is shown them."),
        Column("mail", "boolean", "Whether they are e-mailed what waits for their decision; null: yes."),
        Column("desktop", "boolean", "Whether their desktop shows what waits for their decision; null: yes."),
        Column(
            "decided",
            "boolean",
            "Whether they are e-mailed what was decided of their drafts; null: as it is configured.",
        ),
        Column(
            "timezone",
            "text check (length(timezone) between 1 and 60)",
            "The zone in which they are shown times; null: the org's.",
        ),
        Column(
            "locale",
            "text check (locale ~ '^[A-Za-z0-9-]{2,35}$')",
            "The language and country in which they are written to, such as de-AT; null: none.",
        ),
        Column("page_size", "int check (page_size between 1 and 50)", "Rows of a list where a call names no limit."),
        prefix="pset",
        roles=EVERYONE,
        description="How the CRM behaves for a person: notices, zone, language, length of lists.",
        free={"I": None, "U": CHANGED},
    )
    yield (
        "create unique index personal_settings_of on crm.personal_settings(org_id, user_id) where archived_at is null"
    )
    yield "grant select on crm.personal_settings to crm_signin"


def session_again() -> Iterator[str]:
    """Replace a function of a definer, which only that role may."""
    yield "grant create on schema crm to crm_signin"
    yield "set role crm_signin"
    yield (SQL / "personal.sql").read_text(encoding="utf-8")
    yield "reset role"
    yield "revoke create on schema crm from crm_signin"


def rights() -> Iterator[str]:
    yield from isolate("working_memory")
    for login in CLIENTS:
        yield f"grant select on crm.working_memory to {login}"
    yield "grant select, insert, update, delete on crm.working_memory to crm_definer"
    yield "revoke execute on function crm.remembered_place(jsonb), crm.later_place(jsonb, jsonb), crm.last_acts(jsonb) from public"
    yield "grant execute on function crm.remembered_place(jsonb), crm.later_place(jsonb, jsonb), crm.last_acts(jsonb) to crm_definer"
    yield from definer("remember(bigint, bigint, text, jsonb)", callers=("crm_agent",))
    yield from definer("forget_working(int)", callers=("crm_worker",))


def upgrade() -> None:
    run(personal_settings(), session_again(), SQL / "working.sql", rights())
    run(iter(["update crm.schema_state set revision = '0027'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
