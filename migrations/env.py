"""Runs migrations on the connection that `crm_mcp.migrate` hands over; there is no ini file and no offline mode."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="crm",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
