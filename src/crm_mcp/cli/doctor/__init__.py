"""Looking for what would stand in the way here, and mending what is safe to mend."""

from .command import doctor

__all__ = ["doctor"]
