"""Sending what a person approved: at least once, under one Message-ID."""
