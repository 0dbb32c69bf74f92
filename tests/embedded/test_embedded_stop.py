"""Stopping the server on request, describing it, and the locks both rest on."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from embedded_homes import Client, eventually, is_quiet, join_fast

from crm_mcp.embedded import EmbeddedInUse, Home, status, stop
from crm_mcp.embedded.locks import FileLock, is_held


def test_status_tells_what_runs_and_who_is_there(home: Home) -> None:
    before = status(home)
    assert (before.running, before.usable, before.pid, before.address) == (False, False, None, None)
    with join_fast(home):
        during = status(home)
        assert (during.running, during.usable, during.leases_held) == (True, True, True)
        assert during.pid is not None
        assert during.address == home.address
        assert during.recorded == ("0002", "0001")
    assert not status(home).leases_held


def test_status_and_stop_of_a_home_that_does_not_exist_create_nothing(folder: Path) -> None:
    home = Home(folder / "none")
    assert not status(home).running
    assert not stop(home)
    assert not home.root.exists()


def test_stop_refuses_while_a_client_is_there(home: Home, client: Callable[..., Client]) -> None:
    assert client().answer() == "joined"
    with pytest.raises(EmbeddedInUse, match="Close them"):
        stop(home)
    assert status(home).usable


def test_a_forced_stop_ends_the_server_and_the_client_can_start_it_again(home: Home) -> None:
    with join_fast(home):
        assert stop(home, force=True)
        assert not status(home).running
        with join_fast(home):
            assert status(home).usable


def test_a_stop_ends_the_reaper_before_its_time(home: Home) -> None:
    join_fast(home, idle=600).close()
    assert stop(home)
    eventually(lambda: is_quiet(home), "the reaper notices")
    assert not stop(home)


def test_a_lease_closes_twice_without_harm(home: Home) -> None:
    lease = join_fast(home)
    lease.close()
    lease.close()


@pytest.fixture
def lock_file(folder: Path) -> Path:
    return folder / "a.lock"


def test_a_pending_exclusive_wait_keeps_no_new_sharer_out(lock_file: Path) -> None:
    with FileLock(lock_file) as first, FileLock(lock_file) as waiting, FileLock(lock_file) as second:
        first.share()
        thread = threading.Thread(target=waiting.hold)
        thread.start()
        blocked = f"/proc/self/task/{thread.native_id}/wchan"
        if Path(blocked).exists() and os.access(blocked, os.R_OK):
            eventually(lambda: Path(blocked).read_text() not in ("", "0"), "the thread waits in the kernel")
        assert second.try_share()
        assert thread.is_alive()
        first.close()
        second.close()
        thread.join(10)
        assert not thread.is_alive()


def test_a_lock_is_held_until_its_file_closes(lock_file: Path) -> None:
    assert not is_held(lock_file)
    with FileLock(lock_file) as lock:
        assert lock.try_hold()
        assert is_held(lock_file)
    assert not is_held(lock_file)


def test_a_shared_lock_counts_as_not_held_alone(lock_file: Path) -> None:
    with FileLock(lock_file) as lock, FileLock(lock_file) as other:
        lock.share()
        assert not is_held(lock_file)
        assert not other.hold_within(0.02)
