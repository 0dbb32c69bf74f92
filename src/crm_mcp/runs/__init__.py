"""Session memory: conversations with our own agents and their runs, each a person's own, kept for a while."""
