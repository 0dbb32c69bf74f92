"""The job queue's schema is the one that the installed procrastinate was written for."""

from procrastinate.schema import SchemaManager

from crm_mcp.migrate import migrations_path

OURS = "-- Below this line nothing is ours.\n"


def test_the_migrated_queue_is_the_installed_one():
    kept = (migrations_path() / "sql" / "jobs.sql").read_text(encoding="utf-8")
    head, _, theirs = kept.partition(OURS)
    assert "MIT License" in head
    assert theirs == SchemaManager.get_schema()
