"""What free-form SQL may say: one SELECT over registered tables, judged on Postgres' own grammar before it is run."""
