"""What is remembered of how somebody works: pure rules; where they are kept is `crm.preferences`."""
