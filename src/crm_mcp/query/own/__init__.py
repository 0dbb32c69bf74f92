"""An org's own tables and views in the same database: registered by an administrator, confined, and taken back again."""
