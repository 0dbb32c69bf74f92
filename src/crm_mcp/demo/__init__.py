"""The demo org: a furniture dealer with two years of trade, and a neighbour whose data must never show."""

from .loading import load

__all__ = ["load"]
