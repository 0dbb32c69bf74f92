"""Recovery from every kind of sudden death and from what it leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest
from embedded_homes import (
    FAST,
    REVISION,
    Client,
    eventually,
    is_quiet,
    join_fast,
    processes_of,
)

from crm_mcp.embedded import EmbeddedUnavailable, Home, binaries, reaper, server, status
from crm_mcp.embedded.locks import FileLock, is_held
from crm_mcp.embedded.ping import Answer
from crm_mcp.embedded.place import Account, RunAs, cluster_name
from crm_mcp.embedded.processes import server_processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with POSIX signals")


def server_pid(home: Home) -> int:
    pid = status(home).pid
    assert pid is not None
    return pid


def reaper_pid(home: Home) -> int:
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    lines = [line for line in listed.stdout.splitlines() if f"embedded reap {home.root} " in line]
    assert len(lines) == 1
    return int(lines[0].split()[0])


def start_launcher(home: Home, prepare: str = "create_database", idle: float = 0.5) -> "subprocess.Popen[bytes]":
    words = ["--revision", REVISION, "--oldest", "0001", "--idle", str(idle)]
    words += ["--prepare", f"embedded_preparation:{prepare}"]
    for name, value in FAST.items():
        words += ["--set", f"{name}={value}"]
    return subprocess.Popen([sys.executable, "-m", "crm_mcp.embedded", "launch", str(home.root), *words])


def works(home: Home) -> bool:
    with psycopg.connect(home.conninfo("postgres")) as connection:
        return connection.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_stranger_counts_as_a_process_of_the_server(home: Home) -> None:
    # Only asks: what this function finds is killed elsewhere.
    account = run_as_server(home)
    neighbour = subprocess.Popen(["sleep", "60"], cwd=home.pgdata, **account)
    namesake = subprocess.Popen(["sleep", "60"], executable=renamed_sleep(home), cwd="/", **account)
    try:
        eventually(lambda: "(postgres)" in stat_of(namesake.pid), "it runs under the server's name")
        assert server_processes(home.pgdata, cluster_name(home)) == []
    finally:
        for process in (neighbour, namesake):
            process.kill()
            process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_zombie_of_the_server_does_not_count_as_one_of_its_processes(home: Home) -> None:
    child = subprocess.Popen(["sleep", "60"], executable=renamed_sleep(home), cwd=home.pgdata, **run_as_server(home))
    try:
        eventually(lambda: server_processes(home.pgdata, cluster_name(home)) == [child.pid], "alive, it counts")
        child.kill()
        eventually(lambda: " Z " in stat_of(child.pid), "it is a zombie")
        assert server_processes(home.pgdata, cluster_name(home)) == []
    finally:
        child.kill()
        child.wait()


def test_a_client_that_came_and_went_at_the_last_instant_gives_the_server_another_idle_time(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []

    def idled(here: Home, *_: object) -> bool:
        looks.append(status(here).running)
        if len(looks) == 1:
            with FileLock(here.clients_lock) as visitor:
                visitor.share()
                visitor.touch()
        return True

    join_fast(home, idle=20).close()
    os.kill(reaper_pid(home), signal.SIGKILL)
    eventually(lambda: not is_held(home.reaper_lock), "its own reaper dies")
    monkeypatch.setattr(reaper, "_idled", idled)
    reaper.reap(home, idle=0)
    assert looks == [True, True]
    assert not status(home).running


def renamed_sleep(home: Home) -> str:
    program = home.root / "postgres"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def busy(home: Home) -> Generator[int]:
    """The process id of a server process that computes for hours, and looks at nothing else."""
    with join_fast(home), contextlib.closing(psycopg.connect(home.conninfo("postgres"))) as connection:
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000000) as n")
        yield connection.info.backend_pid


def kill_server(home: Home) -> None:
    os.kill(server_pid(home), signal.SIGKILL)
    eventually(lambda: status(home).pid is None, "the server dies")


def test_a_killed_server_is_started_again_and_its_busy_orphans_are_ended(home: Home, busy: int) -> None:
    kill_server(home)
    assert busy in server_processes(home.pgdata, cluster_name(home))
    with join_fast(home):
        assert works(home)
        assert busy not in server_processes(home.pgdata, cluster_name(home))


def test_the_reaper_ends_the_orphans_of_a_killed_server(home: Home, client: Callable[..., Client]) -> None:
    holder = client()
    assert holder.answer() == "joined"
    with contextlib.closing(psycopg.connect(home.conninfo("postgres"))) as connection:
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000000) as n")
        kill_server(home)
        assert connection.info.backend_pid in server_processes(home.pgdata, cluster_name(home))
        holder.end()
        eventually(lambda: is_quiet(home), "the orphans and the reaper end")
    join_fast(home).close()  # the next start removes the shared memory of a killed server


@pytest.mark.parametrize("pid", ["itself", "a zombie", "nobody", "empty", "rubbish"])
def test_a_stale_pid_file_and_socket_lock_do_not_keep_the_server_from_starting(home: Home, pid: str) -> None:
    with join_fast(home):
        lines = (home.pgdata / "postmaster.pid").read_text().splitlines()
        lock = (home.socket_dir / ".s.PGSQL.5432.lock").read_text().splitlines()
        os.kill(server_pid(home), signal.SIGKILL)
        eventually(lambda: not server_processes(home.pgdata, cluster_name(home)), "the server dies")
        # A live process of the account that runs Postgres: Postgres itself would refuse to start.
        child = subprocess.Popen(["sleep", "60"], **run_as_server(home))
        if pid == "a zombie":
            child.kill()
            eventually(lambda: " Z " in stat_of(child.pid), "it is a zombie")
        chosen = {"nobody": "32767999", "rubbish": "rubbish"}.get(pid, str(child.pid))
        text = "" if pid == "empty" else "\n".join([chosen, *lines[1:], ""])
        (home.pgdata / "postmaster.pid").write_text(text)
        (home.socket_dir / ".s.PGSQL.5432.lock").write_text("\n".join([chosen, *lock[1:], ""]))
        try:
            assert status(home).pid is None
            with join_fast(home):
                assert works(home)
            assert pid == "a zombie" or child.poll() is None, "a stranger was killed"
        finally:
            child.kill()
            child.wait()


def run_as_server(home: Home) -> RunAs:
    owner = home.pgdata.stat()
    return {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}


def stat_of(pid: int) -> str:
    if sys.platform == "linux":
        return Path(f"/proc/{pid}/stat").read_text()
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f" {listed.stdout[:1]} "


def test_a_launcher_killed_in_initdb_leaves_nothing_that_is_used(folder: Path) -> None:
    home = Home(folder / "cold")
    launcher = start_launcher(home)
    eventually(lambda: list(folder.glob("cold/pgdata.new-*/base")), "initdb is at work")
    launcher.kill()
    launcher.wait()
    assert not home.pgdata.exists()
    with join_fast(home):
        assert works(home)
    assert list(folder.glob("cold/pgdata.new-*")) == []


def test_an_orphaned_initdb_keeps_the_next_launcher_waiting(folder: Path) -> None:
    home = Home(folder / "cold")
    launcher = start_launcher(home)
    eventually(lambda: list(folder.glob("cold/pgdata.new-*/base")), "initdb is at work")
    launcher.kill()
    launcher.wait()
    with FileLock(home.start_lock) as next_launcher:
        next_launcher.hold()
        listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    assert f"{home.pgdata}.new-" not in listed.stdout


def test_a_launcher_killed_while_the_server_boots_is_replaced_by_the_next(home: Home) -> None:
    launcher = start_launcher(home, idle=20)
    eventually((home.pgdata / "postmaster.pid").exists, "the server is being started")
    launcher.kill()
    launcher.wait()
    with join_fast(home):
        assert works(home)
    assert home.log.read_text().count("ready to accept connections") == 1


def test_a_launcher_killed_before_the_database_is_ready_leaves_no_process_behind(home: Home) -> None:
    os.mkfifo(home.root / "permission")
    launcher = start_launcher(home, prepare="wait_for_permission")
    eventually((home.root / "began").exists, "the preparation begins")
    launcher.kill()
    launcher.wait()
    assert status(home).pid is not None
    assert not status(home).usable
    eventually(lambda: is_quiet(home), "the reaper stops the server and ends")


def test_a_killed_reaper_is_replaced_by_the_next_join(home: Home) -> None:
    with join_fast(home):
        before = server_pid(home)
        first = reaper_pid(home)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not is_held(home.reaper_lock), "the reaper dies")
        with join_fast(home):
            assert is_held(home.reaper_lock)
            assert reaper_pid(home) != first
            assert server_pid(home) == before
    assert (home.root / "prepared").read_text() == "once\n" * 2, "a running database is not prepared again"
    eventually(lambda: is_quiet(home), "the new reaper does its work")


def test_a_deleted_socket_is_recovered_by_a_restart(home: Home) -> None:
    with join_fast(home):
        (home.socket_dir / ".s.PGSQL.5432").unlink()
        with join_fast(home):
            assert works(home)


def test_a_server_told_to_end_when_its_clients_do_is_restarted_at_once(home: Home) -> None:
    with join_fast(home), psycopg.connect(home.conninfo("postgres")):
        before = server_pid(home)
        os.kill(before, signal.SIGTERM)
        eventually(lambda: not status(home).usable, "it takes no connections")
        with join_fast(home):
            assert server_pid(home) != before
            assert works(home)


def test_a_slow_server_is_waited_for_and_not_restarted(home: Home, client: Callable[..., Client]) -> None:
    with join_fast(home):
        before = server_pid(home)
        home.ready.unlink()
        os.kill(before, signal.SIGSTOP)
        late = client()
        eventually(lambda: is_held(home.start_lock), "its launcher is at work")
        os.kill(before, signal.SIGCONT)
        assert late.answer() == "joined"
        assert server_pid(home) == before


def test_a_server_that_refuses_for_an_instant_is_not_restarted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside Linux a full queue of connections answers like nobody."""
    answers = [Answer.ABSENT, Answer.ABSENT, Answer.BUSY]
    with join_fast(home):
        before = server_pid(home)
        monkeypatch.setattr(server, "accepts", lambda _: not answers)
        monkeypatch.setattr(server, "ask", lambda _: answers.pop(0))
        programs = binaries.Binaries(home.pg, "18")
        assert server.start(server.Cluster(home, programs, Account(""), {})) is False
        assert server_pid(home) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_death_of_the_last_client_leaves_no_process(
    home: Home, client: Callable[..., Client], number: int
) -> None:
    one, other = client(), client()
    assert (one.answer(), other.answer()) == ("joined", "joined")
    one.end(number)
    assert status(home).leases_held
    other.end(number)
    assert not status(home).leases_held
    eventually(lambda: is_quiet(home), "everything ends")
    assert "database system is shut down" in home.log.read_text()


def test_a_client_within_the_idle_time_keeps_the_server(home: Home) -> None:
    join_fast(home, idle=20).close()
    before = server_pid(home)
    with join_fast(home):
        assert server_pid(home) == before
    assert processes_of(home)


def test_a_lost_data_directory_is_not_silently_replaced_by_an_empty_one(home: Home) -> None:
    home.pgdata.rename(home.root / "lost")
    with pytest.raises(EmbeddedUnavailable, match="is gone"):
        join_fast(home)
    assert not home.pgdata.exists()


def test_a_data_directory_of_another_major_version_is_refused_with_the_way_out(home: Home) -> None:
    (home.pgdata / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedUnavailable, match=r"made by PostgreSQL 17.*backup.*restore"):
        join_fast(home)


def test_files_that_are_no_database_are_left_alone(folder: Path) -> None:
    home = Home(folder / "home")
    home.root.mkdir(mode=0o711)
    home.pgdata.mkdir()
    (home.pgdata / "thesis.txt").write_text("42")
    with pytest.raises(EmbeddedUnavailable, match="holds files but no database"):
        join_fast(home)
    assert (home.pgdata / "thesis.txt").read_text() == "42"


def test_a_server_that_cannot_start_is_quoted(home: Home) -> None:
    with pytest.raises(EmbeddedUnavailable, match=r'outside the valid range for parameter "max_connections"'):
        join_fast(home, settings={"max_connections": "-1"})
