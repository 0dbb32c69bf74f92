"""Where the server's files go, who runs it, and what happens on a full disk."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from embedded_homes import HERE, SOURCE, copy_home, dispose, eventually, is_quiet, join_fast

from crm_mcp.embedded import EmbeddedDiskFull, EmbeddedUnavailable, Home, place, status
from crm_mcp.embedded.place import Account, choose_address
from homes import small_disk

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SYSTEM_PYTHON = "/usr/bin/python3"


def works(home: Home) -> bool:
    with psycopg.connect(home.conninfo("postgres")) as connection:
        return connection.execute("select 1").fetchone() == (1,)


@pytest.fixture
def closed(folder: Path) -> Path:
    """A folder nobody else may enter, like /root."""
    made = folder / "closed"
    made.mkdir(mode=0o700)
    return made


@as_root
def test_root_runs_the_server_as_an_unprivileged_account(home: Home) -> None:
    with join_fast(home):
        pid = status(home).pid
        assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert home.socket_dir.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert home.secrets.stat().st_uid == 0


@as_root
def test_a_home_below_a_closed_folder_keeps_its_server_files_under_var_lib(closed: Path) -> None:
    home = Home(closed / "deep" / "home")
    with join_fast(home):
        assert works(home)
        outside = home.outside.readlink()
        assert outside.parent == Path("/var/lib")
        assert home.pgdata.resolve() == outside / "pgdata"
        assert home.socket_dir == outside / "socket"
        assert (outside / "home").read_text() == f"{home.root}\n"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    eventually(lambda: is_quiet(home), "the server stops")
    with join_fast(home):
        assert works(home), "the second start finds the same place"
    assert home.outside.readlink() == outside


@as_root
def test_a_new_home_does_not_take_over_what_a_deleted_one_left_under_var_lib(closed: Path) -> None:
    home = Home(closed / "home")
    account = choose_account_of_new(home)
    left_over = home.outside.readlink()
    shutil.rmtree(home.root)
    try:
        assert choose_account_of_new(home) == account
        assert home.outside.readlink() != left_over
        assert home.pgdata.readlink() == home.outside.readlink() / "pgdata"
        shutil.rmtree(home.outside.readlink())
    finally:
        shutil.rmtree(left_over)


def choose_account_of_new(home: Home) -> Account:
    place.create_home(home.root)
    account = place.choose_account(home, "nobody")
    place.settle(home, account)
    return account


@as_root
def test_a_home_that_was_closed_later_is_refused_with_the_fix(home: Home) -> None:
    home.root.chmod(0o700)
    with pytest.raises(EmbeddedUnavailable, match="cannot enter"):
        join_fast(home)
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    home.root.chmod(0o711)


@as_root
def test_root_refuses_the_home_of_an_ordinary_user(home: Home) -> None:
    owner = pwd.getpwnam("daemon")
    os.chown(home.root, owner.pw_uid, owner.pw_gid)
    os.chown(home.pgdata, owner.pw_uid, owner.pw_gid)
    with pytest.raises(EmbeddedUnavailable, match="Run crm-mcp as that user"):
        join_fast(home)


@as_root
def test_an_ordinary_user_is_served_as_himself(folder: Path) -> None:
    user = pwd.getpwnam("daemon")
    own = folder / "own folder"
    own.mkdir()
    os.chown(own, user.pw_uid, user.pw_gid)
    home = Home(own / "home")
    run = run_as(user, f"lease = join_fast(Home(Path({str(home.root)!r}))); print('joined')")
    assert run.stdout == "joined\n", run.stderr
    assert home.pgdata.stat().st_uid == user.pw_uid
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    eventually(lambda: is_quiet(home), "everything ends")


@as_root
def test_another_users_home_is_refused(home: Home) -> None:
    user = pwd.getpwnam("daemon")
    run = run_as(
        user,
        f"try: join_fast(Home(Path({str(home.root)!r})))\nexcept EmbeddedUnavailable as error: print(error)",
    )
    assert "Set CRM_HOME to a folder of your own" in run.stdout, run.stderr


def run_as(user: pwd.struct_passwd, program: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as another user; the interpreter of the tests may be out of that user's reach."""
    path = os.pathsep.join(map(str, (SOURCE, HERE, Path(psycopg.__file__).parents[1])))
    imports = "from pathlib import Path\nfrom crm_mcp.embedded import *\nfrom embedded_homes import *\n"
    return subprocess.run(
        [python_for(user), "-c", imports + program],
        capture_output=True,
        text=True,
        check=False,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
    )


def python_for(user: pwd.struct_passwd) -> str:
    is_new_enough = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, SYSTEM_PYTHON):
        try:
            subprocess.run(
                [python, "-c", is_new_enough],
                check=True,
                capture_output=True,
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                cwd="/",
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("no Python of 3.11 or newer that another user may run")


@as_root
def test_roots_long_home_path_puts_the_socket_under_var_lib(template: Home, folder: Path) -> None:
    home = copy_home(template, folder / ("long" * 30))
    with join_fast(home):
        assert works(home)
        assert home.socket_dir == home.outside.readlink() / "socket"
        assert home.pgdata.resolve() == home.pgdata


@pytest.fixture
def runtime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = folder / "run"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(made))
    return made


def test_a_users_long_home_path_puts_the_socket_in_the_runtime_folder(folder: Path, runtime: Path) -> None:
    home = Home(folder / ("long" * 30))
    home.root.mkdir()
    directory = choose_address(home, Account("")).host
    assert Path(directory).parent == runtime
    assert stat.S_IMODE(Path(directory).stat().st_mode) == 0o700
    home.address_file.write_text(f"{directory} 5432\n")
    assert choose_address(home, Account("")).host == directory, "a recorded directory is kept"
    place.discard_socket_dir(home)
    assert not Path(directory).exists()


def test_a_runtime_folder_of_somebody_else_is_not_trusted(folder: Path, runtime: Path) -> None:
    runtime.chmod(0o777)
    home = Home(folder / ("long" * 30))
    home.root.mkdir()
    directory = Path(choose_address(home, Account("")).host)
    assert directory.parent != runtime
    directory.rmdir()


@pytest.mark.parametrize("attack", ["a symbolic link", "another owner", "open to all"])
def test_a_socket_directory_prepared_by_somebody_else_is_refused(home: Home, folder: Path, attack: str) -> None:
    trap = home.root / "socket"
    if attack == "a symbolic link":
        (folder / "theirs").mkdir(mode=0o700)
        trap.symlink_to(folder / "theirs")
    else:
        trap.mkdir(mode=0o700)
    if attack == "open to all":
        trap.chmod(0o777)
    if attack == "another owner":
        if os.geteuid() != 0:
            pytest.skip("only root can make a directory of another owner")
        os.chown(trap, pwd.getpwnam("daemon").pw_uid, -1)
    with pytest.raises(EmbeddedUnavailable, match="somebody else could listen there"):
        join_fast(home)


@pytest.fixture(name="small_disk")
def disk_of_60_megabytes(folder: Path) -> Generator[Path]:
    with small_disk(folder / "disk", megabytes=60) as disk:
        yield disk
        dispose(Home(disk / "home"))


def test_a_full_disk_is_named_and_leaves_no_half_made_data_directory(small_disk: Path) -> None:
    home = Home(small_disk / "home")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(8_000_000))
    with pytest.raises(EmbeddedDiskFull, match="no space left on the disk"):
        join_fast(home)
    assert not home.pgdata.exists()
    assert list(home.root.glob("pgdata.new*")) == []
    filler.unlink()


def test_programs_that_do_not_fit_on_the_disk_are_named(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(40_000_000))
    home = Home(small_disk / "home")
    with pytest.raises(EmbeddedUnavailable, match=r"No space left|40 MB"):
        join_fast(home)
    assert list(home.pg.iterdir()) == []


def test_a_log_that_cannot_be_written_does_not_stop_the_server(home: Home) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    home.log.symlink_to("/dev/full")
    with join_fast(home):
        assert works(home)


def test_a_grown_log_is_set_aside(home: Home) -> None:
    home.log.write_bytes(b"x" * 10_000_001)
    join_fast(home).close()
    assert home.log.stat().st_size < 10_000_000
    assert home.log.with_name("postgres.log.1").stat().st_size == 10_000_001


def test_another_build_is_used_when_named(home: Home, template: Home) -> None:
    (programs,) = template.pg.glob("*/*/pginstall/bin")
    home.pg.unlink()
    with join_fast(home, other_build=programs):
        assert works(home)
    assert not home.pg.exists()


def test_a_named_build_that_does_not_run_is_refused(home: Home) -> None:
    with pytest.raises(EmbeddedUnavailable, match="Check CRM_PG_BIN"):
        join_fast(home, other_build=Path("/nonexistent"))


def test_copies_of_other_versions_are_removed_after_a_start(folder: Path) -> None:
    home = Home(folder / "home")
    home.root.mkdir(mode=0o711)
    home.root.chmod(0o711)
    (home.pg / "17.1").mkdir(parents=True)
    join_fast(home).close()
    assert not (home.pg / "17.1").exists()
    assert len(list(home.pg.iterdir())) == 1
