"""What is remembered of how somebody works and of records: pure rules; where it is kept is `crm.preferences` and `crm.learnings`."""
