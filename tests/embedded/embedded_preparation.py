"""Stand-ins for the migrations, named to launchers as module:function."""

from crm_mcp.embedded import Home


def create_database(home: Home) -> None:
    """Create the database crm, and count the calls in the file `prepared`."""
    prepared = home.root / "prepared"
    if not prepared.exists():
        import psycopg  # slow to load, and most homes are copies of a prepared one

        with psycopg.connect(home.conninfo("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("create database crm")
    with prepared.open("a") as file:
        file.write("once\n")


def wait_for_permission(home: Home) -> None:
    """Say that it began, and block until somebody opens the pipe `permission`."""
    (home.root / "began").touch()
    (home.root / "permission").read_text()
    create_database(home)


def fail(home: Home) -> None:
    raise ValueError("the migration\nis broken")
