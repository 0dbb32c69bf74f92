"""Texts as vectors: the protocol, and the embedders there are."""
