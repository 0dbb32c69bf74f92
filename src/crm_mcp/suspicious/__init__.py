"""Texts that speak to a model instead of about the business: known patterns, found so that they can be pointed at."""
