"""Telling people of drafts: approvers that one waits, and once more before it expires; through the operator's channels."""
