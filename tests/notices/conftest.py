"""A shop with hostile texts, a mail server, and a webhook's receiver."""

import os

import pytest
from receiver import receiving
from shop import Shop

from crm_mcp.db import Database
from crm_mcp.delivery.server import Server
from crm_mcp.telling import desktop
from postbox import postbox


@pytest.fixture
async def worker(home):
    db = Database(home.conninfo("crm_worker"))
    yield db
    await db.close()


@pytest.fixture
async def shop(home, approver, worker, connect):
    made = Shop(home, approver, worker, connect)
    await made.open()
    return made


@pytest.fixture
async def box(shop):
    """The mail server by which the shop's people are told."""
    async with postbox() as made:
        shop.set(mail=Server("127.0.0.1", made.port, timeout=5))
        yield made


@pytest.fixture
async def receiver():
    async with receiving() as made:
        yield made


@pytest.fixture
def toasts(shop, tmp_path, monkeypatch):
    """A desktop of ann's, whose notifications end up in a file."""
    shown = tmp_path / "shown"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word" >> {shown}; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(desktop.sys, "platform", "linux")
    shop.set(desktop=frozenset({shop.at("ann")}))
    return lambda: shown.read_text(encoding="utf-8").split("\0")[:-1] if shown.exists() else []
