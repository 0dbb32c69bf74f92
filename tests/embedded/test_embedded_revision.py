"""Clients of different revisions on one database."""

import os
import subprocess
from collections.abc import Callable

import pytest
from embedded_homes import Client, eventually, join_fast, processes_of

from crm_mcp.embedded import EmbeddedUnavailable, Home, status


def test_a_newer_client_migrates_when_no_older_one_is_there(home: Home) -> None:
    with join_fast(home, revision="0003", oldest="0002"):
        assert home.recorded() == ("0003", "0002")
    assert (home.root / "prepared").read_text() == "once\n" * 2


def test_a_newer_client_is_refused_while_an_older_one_works(home: Home) -> None:
    with join_fast(home):
        with pytest.raises(EmbeddedUnavailable, match=r"revision 0002 still uses it\. Close"):
            join_fast(home, revision="0003")
        assert home.recorded() == ("0002", "0001")
        assert status(home).usable, "the older client's colleagues can still come"
    assert (home.root / "prepared").read_text() == "once\n" * 2
    join_fast(home, revision="0003").close()


def test_a_newer_client_migrates_the_running_server_of_an_older_one_that_left(home: Home) -> None:
    join_fast(home, idle=20).close()
    before = status(home).pid
    with join_fast(home, revision="0003"):
        assert status(home).pid == before
        assert home.recorded() == ("0003", "0001")


def test_a_client_older_than_the_oldest_is_told_to_upgrade(home: Home) -> None:
    join_fast(home, revision="0005", oldest="0004").close()
    with pytest.raises(EmbeddedUnavailable, match=r"0004 or newer.*Upgrade crm-mcp"):
        join_fast(home)


def test_an_older_compatible_client_joins_and_does_not_prepare(home: Home) -> None:
    with (
        join_fast(home, revision="0003", oldest="0002"),
        join_fast(home, prepare="embedded_preparation:fail"),
    ):
        assert home.recorded() == ("0003", "0002")


def test_an_older_compatible_client_starts_a_newer_database_without_preparing_it(home: Home) -> None:
    home.revision_file.write_text("0003 0002\n")
    with join_fast(home, prepare="embedded_preparation:fail"):
        assert home.recorded() == ("0003", "0002")


@pytest.mark.skipif(os.name != "posix", reason="the fake migration waits on a named pipe")
def test_an_older_client_that_comes_during_the_migration_waits_and_is_told_to_upgrade(
    home: Home, client: Callable[..., Client]
) -> None:
    join_fast(home, idle=20).close()
    os.mkfifo(home.root / "permission")
    newer = client(revision="0003", oldest="0003", prepare="embedded_preparation:wait_for_permission")
    eventually((home.root / "began").exists, "the migration begins")
    known, unknown = client(), client(revision="0001")
    # The one waits for the lease of its revision, the other, of which nobody knew, for the start lock.
    eventually(lambda: " --revision 0001 " in commands(home), "the unknown one has its own launcher")
    (home.root / "permission").write_text("")
    assert newer.answer() == "joined"
    assert "Upgrade crm-mcp" in known.answer()
    assert "Upgrade crm-mcp" in unknown.answer()


def commands(home: Home) -> str:
    pids = ",".join(map(str, processes_of(home))) or "1"
    return subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", pids], capture_output=True, text=True, check=False
    ).stdout


def test_a_failed_migration_keeps_the_older_revision_usable(home: Home) -> None:
    with pytest.raises(EmbeddedUnavailable, match="broken"):
        join_fast(home, revision="0003", prepare="embedded_preparation:fail")
    with join_fast(home):
        assert home.recorded() == ("0002", "0001")


def test_a_damaged_revision_file_is_refused(home: Home) -> None:
    home.revision_file.write_text("")
    with pytest.raises(EmbeddedUnavailable, match="is damaged"):
        join_fast(home)
