"""Sockets that listen: one of TCP says so, since asyncio sends small answers at once on no other.

Otherwise the second part of an answer waits for the first to be acknowledged, for 40 ms on Linux.
"""

import socket


def tcp(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Return an unbound socket whose address another process may have had a moment ago."""
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made
