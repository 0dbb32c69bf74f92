"""The disk fills under a running server: it is said, nothing is half-written, and with space all goes on."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from wire import serving

from crm_mcp.errors import is_lost
from homes import MEMORY, load_demo, small_disk, temporary_home

FULL = {
    "error": "DATABASE_FULL",
    "context": {"hint": "The database's disk is full. Nothing was changed. Tell the administrator."},
}


class Disk:
    """The small disk of one home, and what its owner sees."""

    def __init__(self, home, folder):
        self.home, self._filler = home, folder / "filler"

    def ask(self, sql, *params, role="crm_owner"):
        with psycopg.connect(self.home.conninfo(role), autocommit=True) as conn:
            return conn.execute(sql, params).fetchone()[0]

    def fill(self):
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def use_up_what_postgres_has_set_aside(self):
        """Write until there is no room for the next log of changes: Postgres then ends itself, and cannot start."""
        emitted = "pg_logical_emit_message(false, 'x', repeat(md5(n::text), 30000))"
        with pytest.raises(psycopg.Error):
            self.ask(f"select count({emitted}) from generate_series(1, 200) n", role="postgres")

    def free(self):
        self._filler.unlink(missing_ok=True)

    def problems_of_the_audit(self):
        with psycopg.connect(self.home.conninfo("crm_worker")) as conn:
            conn.execute("select set_config('crm.org_id', (select id::text from crm.orgs where slug = 'demo'), true)")
            conn.execute("select crm.seal_audit()")
            return conn.execute("select * from crm.verify_audit(null, null)").fetchall()


@pytest.fixture(scope="module")
def disk():
    folder = Path(tempfile.mkdtemp(prefix="crm-d-", dir=MEMORY))
    folder.chmod(0o711)
    try:
        with small_disk(folder / "disk", megabytes=200) as mounted, temporary_home(parent=mounted) as home:
            load_demo(home)
            yield Disk(home, mounted)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def customer(disk):
    yield disk.ask("select 'cust_' || id from crm.customers where name = 'John Smith' order by id limit 1")
    disk.free()


async def filled_up(wire, note):
    """Write until the first refusal; return how many notes were written."""
    for written in range(10_000):
        told = await wire.call("add_note", note)
        if "error" in told:
            assert told == FULL
            return written
    raise AssertionError("the disk is not full")


async def test_a_full_disk_is_said_to_writes_and_reads_and_with_space_both_go_on(disk, customer):
    mark = "x" * 3000
    note = {"about": customer, "body": mark, "reason": "they said so"}
    async with serving(disk.home.root) as wire:
        await wire.call("whoami", {})
        disk.fill()
        written = await filled_up(wire, note)
        read = await wire.call("get_customer", {"customer": customer})
        while "error" not in read:  # its audit row still found room
            read = await wire.call("get_customer", {"customer": customer})
        assert read == FULL
        assert await wire.call("add_note", note) == FULL
        disk.free()
        assert (await wire.call("add_note", note))["type"] == "result"
        assert (await wire.call("get_customer", {"customer": customer}))["customer"]["id"] == customer
        assert await wire.end() == 0
        assert "No space" not in "".join(map(str, wire.lines))
    kept = disk.ask("select count(*) from crm.notes where body = %s", mark)
    assert kept == written + 1
    assert kept == disk.ask("select count(*) from crm.changes where tbl = 'notes' and after ->> 'body' = %s", mark)
    assert kept == disk.ask("select count(*) from crm.audit_log where tool = 'add_note' and outcome = 'ok'")
    assert disk.ask(
        "select bool_and(b.call_id is not null) from crm.audit_log e left join crm.audit_log b"
        " on b.call_id = e.call_id and b.phase = 'begun' where e.phase = 'ended' and e.tool in ('add_note', 'get_customer')"
    )
    assert disk.problems_of_the_audit() == []


async def test_a_server_that_ended_because_the_disk_was_full_comes_back_once_there_is_space(disk, customer):
    note = {"about": customer, "body": "after all", "reason": "they said so"}
    async with serving(disk.home.root) as wire:
        await wire.call("whoami", {})
        disk.fill()
        disk.use_up_what_postgres_has_set_aside()
        async with asyncio.timeout(60):
            while (told := await wire.call("add_note", note))["error"] == "DATABASE_UNAVAILABLE":
                pass  # Postgres is still ending
        assert told == FULL
        disk.free()
        assert (await wire.call("add_note", note))["type"] == "result"
        assert (await wire.call("get_customer", {"customer": customer}))["customer"]["id"] == customer
        assert await wire.end() == 0
    assert disk.ask("select count(*) from crm.notes where body = 'after all'") == 1
    assert disk.problems_of_the_audit() == []


def test_a_panic_of_the_server_leaves_open_what_was_committed():
    class Panic(psycopg.errors.DiskFull):
        diag = SimpleNamespace(severity_nonlocalized="PANIC")

    Panic.__module__ = psycopg.errors.DiskFull.__module__
    assert is_lost(Panic())
    assert not is_lost(psycopg.errors.DiskFull())
