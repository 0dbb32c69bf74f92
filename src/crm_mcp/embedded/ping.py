"""Asks a Postgres whether it accepts connections, without loading a driver."""

import socket
from enum import Enum

from .home import Address

_PROTOCOL_3 = 196608
_CANNOT_CONNECT_NOW = b"C57P03\0"
"""SQLSTATE while starting up, recovering or shutting down; other errors come from a server that is up."""


class Answer(Enum):
    ACCEPTS = "accepts connections"
    BUSY = "is there, but accepts none now"
    ABSENT = "nobody listens"


def ask(address: Address, *, timeout: float = 5.0) -> Answer:
    """Send a start-up packet, as pg_isready does, and read the answer to it."""
    words = b"user\0postgres\0database\0postgres\0\0"
    packet = (len(words) + 8).to_bytes(4, "big") + _PROTOCOL_3.to_bytes(4, "big") + words
    try:
        with _socket_for(address) as connection:
            connection.settimeout(timeout)
            connection.connect(_target(address))
            connection.sendall(packet)
            # The whole answer: closing with a part unread is a reset, which the server would log.
            answer = connection.recv(4096)
            if answer.startswith(b"E"):
                answer += _rest(connection)
    except (FileNotFoundError, ConnectionRefusedError):
        return Answer.ABSENT
    except OSError:
        return Answer.BUSY
    return Answer.BUSY if not answer or _CANNOT_CONNECT_NOW in answer else Answer.ACCEPTS


def accepts(address: Address) -> bool:
    return ask(address) is Answer.ACCEPTS


def _socket_for(address: Address) -> socket.socket:
    family = socket.AF_UNIX if address.is_socket else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)


def _target(address: Address) -> str | tuple[str, int]:
    return f"{address.host}/.s.PGSQL.{address.port}" if address.is_socket else (address.host, address.port)


def _rest(connection: socket.socket) -> bytes:
    received = b""
    while len(received) < 8192 and (chunk := connection.recv(4096)):
        received += chunk
    return received
