"""Joining a server that runs, or that must be started first."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import psycopg
import pytest
from embedded_homes import FAST, REVISION, Client, copy_home, eventually, is_quiet, join_fast, processes_of

from crm_mcp.embedded import EmbeddedUnavailable, Home, status
from crm_mcp.embedded.home import ROLES


def ask(home: Home, query: str, dbname: str = "crm") -> object:
    with psycopg.connect(home.conninfo("postgres", dbname)) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return cast("tuple[object]", row)[0]


def test_the_first_join_makes_a_database_with_the_locale_and_passwords_of_the_design(folder: Path) -> None:
    home = Home(folder / "new")
    with join_fast(home):
        assert ask(home, "select datlocprovider::text || datlocale from pg_database where datname = 'crm'") == (
            "bPG_UNICODE_FAST"
        )
        assert ask(home, "select bool_and(rolpassword like 'SCRAM%') from pg_authid where rolcanlogin")
    assert {path.name for path in home.secrets.iterdir()} == set(ROLES)
    assert len({home.secret(role) for role in ROLES}) == len(ROLES)
    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.secrets.iterdir()} == {0o600}
    assert stat.S_IMODE(home.socket_dir.stat().st_mode) == 0o700
    left_over = [path.name for path in home.root.iterdir() if ".new" in path.name]
    assert left_over == []


def test_a_join_on_a_running_server_starts_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    with join_fast(home):
        monkeypatch.setattr(subprocess, "Popen", refuse)
        join_fast(home).close()


def test_importing_the_package_loads_no_driver_and_no_process_handling() -> None:
    program = "import sys, pathlib; import crm_mcp.embedded; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    unwanted = {
        "psycopg",
        "sqlalchemy",
        "alembic",
        "subprocess",
        "socket",
        "argparse",
        "dataclasses",
        "asyncio",
    }
    assert unwanted & set(loaded.stdout.split()) == set()


def test_a_client_process_opens_no_password_file(home: Home) -> None:
    program = (
        "import sys; from pathlib import Path; from embedded_homes import *\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        f"join_fast(Home(Path({str(home.root)!r}))).close()\n"
        "print(*opened, sep='\\n')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"{home.root}/revision" in run.stdout
    assert f"{home.root}/secrets" not in run.stdout


@pytest.mark.parametrize("name", ['it\'s a "quoted" b\\ackslash $HOME', "a comma, where libpq lists hosts"])
def test_any_path_can_be_a_home(template: Home, folder: Path, name: str) -> None:
    home = copy_home(template, folder / name)
    with join_fast(home):
        assert ask(home, "select 1") == 1
        with psycopg.connect(home.url("postgres", "crm")) as connection:
            assert connection.info.host == str(home.socket_dir)


def test_the_server_runs_with_the_settings_of_the_product(home: Home) -> None:
    expected = {
        "fsync": "on",
        "jit": "off",
        "huge_pages": "off",
        "shared_buffers": "256MB",
        "max_connections": "100",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "TimeZone": "UTC",
        "autovacuum": "on",
    }
    with join_fast(home, settings={}):
        assert {name: ask(home, f"select current_setting('{name}')") for name in expected} == expected


def test_settings_for_one_test_do_not_outlive_the_server(home: Home) -> None:
    with join_fast(home, settings=FAST):
        assert ask(home, "select current_setting('fsync')") == "off"
    eventually(lambda: is_quiet(home), "the server stops")
    with join_fast(home, settings={}):
        assert ask(home, "select current_setting('fsync')") == "on"


def test_the_environment_of_the_client_does_not_reach_the_server(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("CRM_API_KEY", "secret")
    monkeypatch.delenv("PGPORT", raising=False)
    with join_fast(home):
        pid = status(home).pid
        if not Path(f"/proc/{pid}/environ").exists():
            pytest.skip("only Linux shows the environment of another process")
        assert b"CRM_API_KEY" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_four_clients_racing_a_cold_start_share_one_new_server(folder: Path, client: Callable[..., Client]) -> None:
    home = Home(folder / "raced")
    clients = [client(home) for _ in range(4)]
    assert [one.answer() for one in clients] == ["joined"] * 4
    assert home.log.read_text().count("ready to accept connections") == 1
    assert (home.root / "prepared").read_text() == "once\n"
    servers = [pid for pid in processes_of(home) if " -D " in command_of(pid)]
    reapers = [pid for pid in processes_of(home) if " reap " in command_of(pid)]
    assert (len(servers), len(reapers)) == (1, 1)


def command_of(pid: int) -> str:
    return subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout


def test_a_failing_preparation_is_told_in_one_line_and_tried_again(home: Home) -> None:
    with pytest.raises(EmbeddedUnavailable, match="the migration is broken"):
        join_fast(home, prepare="embedded_preparation:fail")
    assert "Traceback" in home.launcher_log.read_text()
    assert not status(home).usable
    join_fast(home).close()


def test_a_launcher_that_takes_too_long_is_not_waited_for(home: Home) -> None:
    os.mkfifo(home.root / "permission")
    with pytest.raises(EmbeddedUnavailable, match="still being started"):
        join_fast(home, prepare="embedded_preparation:wait_for_permission", timeout=0.1)
    eventually((home.root / "began").exists, "the launcher goes on")
    (home.root / "permission").write_text("")
    join_fast(home).close()


def test_a_client_that_comes_during_the_preparation_waits_for_its_end(
    home: Home, client: Callable[..., Client]
) -> None:
    os.mkfifo(home.root / "permission")
    first = client(prepare="embedded_preparation:wait_for_permission")
    eventually((home.root / "began").exists, "the preparation begins")
    with pytest.raises(EmbeddedUnavailable, match="still being started"):
        join_fast(home, timeout=0.2)
    (home.root / "permission").write_text("")
    assert first.answer() == "joined"


def test_a_home_that_cannot_be_written_is_refused_with_the_fix(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedUnavailable, match="Set CRM_HOME"):
        join_fast(Home(folder / "file" / "home"))


def test_a_revision_must_be_a_name() -> None:
    with pytest.raises(ValueError, match="not a revision"):
        join_fast(Home(Path("/nonexistent")), revision="../x")


def test_constructing_a_home_touches_nothing(folder: Path) -> None:
    Home(folder / "untouched")
    assert not (folder / "untouched").exists()


def test_a_missing_password_file_is_named(home: Home) -> None:
    (home.secrets / "postgres").unlink()
    with pytest.raises(EmbeddedUnavailable, match="secrets/postgres"):
        join_fast(home)


def test_a_role_of_a_newer_version_gets_a_password(home: Home) -> None:
    (home.secrets / "crm_query").unlink()
    with join_fast(home):
        assert home.secret("crm_query")


def test_revision_is_recorded_for_the_next_client(home: Home) -> None:
    with join_fast(home):
        assert home.recorded() == (REVISION, "0001")
