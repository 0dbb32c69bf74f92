"""An export that does not come to its end, by a kill, a cancelled call or a full disk, leaves nothing behind."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from wire import serving

from homes import MEMORY, load_demo, small_disk, temporary_home

ASKED = {"entity": "customers", "reason": "it will not come to its end"}
FILL = """insert into crm.customers(org_id, name, segment, city) select o.id, md5(n::text) || md5((n + 1)::text), md5(n::text), md5((-n)::text)
 from crm.orgs o, generate_series(1, %s) n where o.slug = 'demo'"""
BOUND = "select set_config('crm.call_id', '1', true), set_config('crm.org_id', id::text, true) from crm.orgs where slug = 'demo'"
LEFT = "select (select count(*) from crm.exports), (select count(*) from crm.export_parts)"


def ask(home, sql, *params):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        return conn.execute(sql, params).fetchone()


@pytest.fixture(scope="module")
def many():
    """A home of its own on a small disk, with customers enough for an export of several parts."""
    folder = Path(tempfile.mkdtemp(prefix="crm-x-", dir=MEMORY))
    folder.chmod(0o711)
    try:
        with small_disk(folder / "disk", megabytes=300) as mounted, temporary_home(parent=mounted) as home:
            load_demo(home)
            with psycopg.connect(home.conninfo("crm_owner")) as conn:
                conn.execute(BOUND)
                conn.execute("alter table crm.customers disable trigger record")
                conn.execute(FILL, (20_000,))
                conn.execute("alter table crm.customers enable trigger record")
            yield home, mounted
    finally:
        shutil.rmtree(folder)


async def started(wire):
    """Ask for an export and wait until rows are written."""
    number = await wire.ask(
        "tools/call", {"name": "create_export", "arguments": ASKED, "_meta": {"progressToken": 1}}
    )
    await wire.heard(lambda line: line.get("method") == "notifications/progress")
    return number


async def test_a_killed_server_leaves_nothing(many):
    home, _ = many
    temporary = set(Path(tempfile.gettempdir()).iterdir())
    async with serving(home.root, user="ada@demo.example") as wire:
        await started(wire)
        wire.process.kill()
        await wire.process.wait()
    assert not [
        path
        for path in set(Path(tempfile.gettempdir()).iterdir()) - temporary
        if path.suffix in (".xlsx", ".csv", ".xml")
    ]
    assert ask(home, LEFT) == (0, 0)


async def test_a_cancelled_call_leaves_nothing_and_is_recorded_and_the_next_comes_through(many):
    home, _ = many
    async with serving(home.root, user="ada@demo.example") as wire:
        number = await started(wire)
        cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}\n' % number
        await wire.send(cancel)
        async with asyncio.timeout(20):
            while not ask(
                home, "select count(*) from crm.audit_log where tool = 'create_export' and outcome = 'CANCELLED'"
            )[0]:
                await wire.call("whoami", {})
        assert ask(home, LEFT) == (0, 0)
        made = (await wire.call("create_export", {**ASKED, "columns": ["id"]}))["export"]
        assert made["rows"] > 20_000
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from crm.export_parts")


async def test_a_full_disk_is_said_and_leaves_nothing(many):
    home, mounted = many
    before = ask(home, LEFT)
    async with serving(home.root, user="ada@demo.example") as wire:
        await wire.call("whoami", {})
        filler = mounted / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue
        told = await wire.call("create_export", ASKED)
        filler.unlink()
        assert told["error"] == "DATABASE_FULL", told
        assert ask(home, LEFT) == before
        assert (await wire.call("create_export", ASKED))["type"] == "result"
