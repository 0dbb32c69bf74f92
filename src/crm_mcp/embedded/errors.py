"""The two ways the embedded database says no, worded for the person at the keyboard."""


class EmbeddedUnavailable(Exception):
    """The embedded database cannot be used; the text says what happened and what to do about it."""


class EmbeddedInUse(EmbeddedUnavailable):
    """Other crm-mcp processes still use the embedded database, so it was left running."""


class EmbeddedDiskFull(EmbeddedUnavailable):
    """There is no space left on the disk of the database; once there is, it starts again."""

    EXIT = 28
    """The code with which a launcher says so: ENOSPC of most systems."""
