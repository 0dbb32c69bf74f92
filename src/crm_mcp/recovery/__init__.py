"""A backup of everything in one file, and the way back from it."""
