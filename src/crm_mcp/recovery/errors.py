"""The one way in which a backup or a restore says no, worded for the person at the keyboard."""


class RecoveryFailed(Exception):
    """It was not done; the text says why, what is as it was, and what to do."""
