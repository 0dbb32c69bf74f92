"""Finds records that stand for one and the same person or organization: pure, without database or I/O."""
