"""A backup of the demo orgs, and homes without an org to restore into."""

from collections.abc import Generator

import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.embedded import Home, stop
from homes import copy_home, migrated, running, temporary_folder, temporary_home


@pytest.fixture(scope="session")
def home(loaded) -> Generator[Home]:
    """The home that is backed up: what these tests do to it is nobody else's."""
    with temporary_home(loaded) as made:
        yield made


@pytest.fixture
def crm(monkeypatch):
    """Run a command on a home; return how it ended."""
    monkeypatch.setenv("CRM_IDLE", "30")
    monkeypatch.setenv("CRM_OPEN_BROWSER", "never")

    def run(at: Home, *words: object):
        monkeypatch.setenv("CRM_HOME", str(at.root))
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


@pytest.fixture(scope="session")
def made(home, tmp_path_factory):
    """A backup of the home, made once."""
    file = tmp_path_factory.mktemp("backups") / "crm.backup"
    patch = pytest.MonkeyPatch()
    patch.setenv("CRM_HOME", str(home.root))
    said = CliRunner().invoke(main, ["backup", str(file)])
    patch.undo()
    assert said.exit_code == 0, said.output
    return file


@pytest.fixture
def fresh() -> Generator[Home]:
    """A home whose database is migrated and holds no org; its server does not run yet."""
    source = migrated()
    if source is None:
        pytest.skip("needs a copy of a home, which this system's account cannot share")
    import shutil

    folder = temporary_folder("crm-b-")
    home = Home(folder / "home")
    copy_home(source, home)
    try:
        yield home
    finally:
        stop(home, force=True)
        with running(home):  # its reaper, which waits for a last client, ends too
            pass
        shutil.rmtree(folder)
