"""Bring a database to the current revision: the administrator's part once, the owner's part at every change."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import sql

from . import revision
from .query import views
from .query.own import confine

if TYPE_CHECKING:
    from .embedded import Home

LOCK = 726_300_000_001
"""The advisory lock under which one process at a time migrates."""
LOGINS = ("crm_owner", "crm_agent", "crm_worker", "crm_approver", "crm_query")


def migrations_path() -> Path:
    """Find the migrations: packaged in a wheel, else beside `src` in a checkout."""
    spec = find_spec("crm_mcp")
    assert spec and spec.submodule_search_locations
    package = Path(next(iter(spec.submodule_search_locations)))
    packaged = package / "migrations"
    return packaged if (packaged / "env.py").exists() else package.parents[1] / "migrations"


def admin_sql() -> str:
    """Return what an administrator runs once on a real server, as a script for psql with passwords to fill in."""
    folder = migrations_path() / "sql"
    passwords = "".join(f"\\password {login}\n" for login in LOGINS)
    return "\n".join(
        (
            "-- Run with psql as a superuser; then \\connect to the database of crm-mcp for the second half.",
            (folder / "bootstrap.sql").read_text(encoding="utf-8"),
            passwords,
            "create database crm owner crm_owner encoding 'UTF8' template template0;",
            "\\connect crm",
            (folder / "database.sql").read_text(encoding="utf-8"),
        )
    )


def bootstrap(superuser: str, passwords: dict[str, str], database: str = "crm") -> None:
    """Do the administrator's part: logins with their passwords, the database, its extensions.

    `superuser` is a conninfo of a superuser for the database `postgres`. Running it again is harmless.
    """
    folder = migrations_path() / "sql"
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute((folder / "bootstrap.sql").read_bytes())
        for login, password in passwords.items():
            conn.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(login), sql.Literal(password)))
        if not conn.execute("select 1 from pg_database where datname = %s", (database,)).fetchone():
            made = sql.SQL("create database {} owner crm_owner encoding 'UTF8' template template0")
            conn.execute(made.format(sql.Identifier(database)))
    with psycopg.connect(superuser, dbname=database, autocommit=True) as conn:
        conn.execute((folder / "database.sql").read_bytes())


def upgrade(owner: str) -> None:
    """Run the migrations that are due, one process at a time; `owner` is a conninfo of crm_owner.

    Raises:
        psycopg.errors.LockNotAvailable: a table stayed locked for five seconds; nothing was changed by that migration.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(
        "postgresql+psycopg://",
        poolclass=NullPool,
        hide_parameters=True,
        creator=lambda: psycopg.connect(owner),
    )
    with engine.connect() as conn:
        conn.exec_driver_sql("set statement_timeout = '10min'")
        conn.exec_driver_sql(f"select pg_advisory_lock({LOCK})")
        conn.exec_driver_sql("set lock_timeout = '5s'")
        conn.exec_driver_sql("create schema if not exists crm")
        conn.commit()
        config = Config()
        config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        conn.rollback()  # with nothing to apply, alembic leaves the transaction open in which it looked
        with conn.begin():
            driver = cast("psycopg.Connection[Any]", conn.connection.driver_connection)
            views.make(driver)
            confine.make(driver)


def prepare(home: "Home") -> None:
    """Bring the embedded database to the current revision; the launcher calls it at every start."""
    if _at(home.conninfo("crm_owner")) == revision.CURRENT:
        return
    bootstrap(home.conninfo("postgres", "postgres"), {login: home.secret(login) for login in LOGINS})
    upgrade(home.conninfo("crm_owner"))
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.database_setting set email_sign_in = true")


def _at(owner: str) -> str | None:
    """The revision of a database, None where there is none yet (or no login to ask with)."""
    try:
        with psycopg.connect(owner) as conn:
            row = conn.execute("select revision from crm.schema_state").fetchone()
            return str(row[0]) if row else None
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None


def newest() -> str:
    """Return the newest revision among the migration files."""
    names = (re.match(r"(\d{4})_", file.name) for file in (migrations_path() / "versions").glob("*.py"))
    return max(name[1] for name in names if name)
