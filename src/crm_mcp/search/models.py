"""Which model answers: built beside the one that is live, switched to in one step, and back. As crm_owner, for every org."""

from datetime import datetime
from typing import Any, NamedTuple

import psycopg

Connection = psycopg.Connection[Any]

_KNOWN = """select id, name, dimensions, is_semantic, least::float8, state, created_at, switched_at from crm.embedding_models
 order by state = 'live' desc, created_at, id"""
_ALONE = "lock table crm.embedding_models in share row exclusive mode"
"""Two who switch take turns; whoever asks the live model does not wait."""
_RETIRE = "update crm.embedding_models set state = 'retired', switched_at = clock_timestamp() where state = 'live'"
_ENLIVEN = "update crm.embedding_models set state = 'live', switched_at = clock_timestamp() where id = %s"


class ModelRefused(Exception):
    """It cannot be done; the text says why, for a person."""


class Known(NamedTuple):
    """A model; `least` is the cosine below which a passage is not like a query."""

    id: int
    name: str
    dimensions: int
    is_semantic: bool
    least: float
    state: str
    created_at: datetime
    switched_at: datetime | None


class Built(NamedTuple):
    """How many passages there are, how many of them have a vector of their text, and since when the first of the others waits."""

    passages: int
    built: int
    waits_since: datetime | None

    @property
    def share(self) -> float:
        """From 0 to 1; it reaches 1 only where nothing lacks."""
        return self.built / self.passages if self.passages else 1.0

    @property
    def lacking(self) -> int:
        return self.passages - self.built


def known(conn: Connection) -> list[Known]:
    """Return the models there are, the live one first."""
    return [Known(*row) for row in conn.execute(_KNOWN).fetchall()]


def named(conn: Connection, name: str) -> Known:
    """Return one.

    Raises:
        ModelRefused: there is none of that name.
    """
    there = known(conn)
    for one in there:
        if one.name == name:
            return one
    raise ModelRefused(f"There is no model {name}. There are: {', '.join(one.name for one in there)}.")


def built(conn: Connection, model: Known) -> Built:
    """Count over all orgs."""
    counted = f"""select count(*), count(*) filter (where v.digest = c.digest),
       min(c.changed_at) filter (where v.digest is distinct from c.digest)
      from crm.search_chunks c left join crm.vectors_{int(model.id)} v on v.org_id = c.org_id and v.chunk_id = c.id"""
    row = conn.execute(counted.encode()).fetchone()
    assert row is not None
    return Built(*row)


def add(conn: Connection, name: str, dimensions: int, is_semantic: bool, least: float) -> None:
    """Add a model to be built; one that was retired is built on from where it is.

    Raises:
        ModelRefused: it is live or being built, or its vectors have other dimensions than those there.
    """
    conn.execute(_ALONE)
    there = next((one for one in known(conn) if one.name == name), None)
    if there is None:
        made = conn.execute(
            "insert into crm.embedding_models(name, dimensions, is_semantic, least, state)"
            " values (%s, %s, %s, %s, 'building') returning id",
            (name, dimensions, is_semantic, least),
        ).fetchone()
        assert made is not None
        conn.execute("select crm.make_vectors(%s)", made)
        return
    if there.state != "retired":
        raise ModelRefused(f"{name} is {'live' if there.state == 'live' else 'being built'} already.")
    if there.dimensions != dimensions:
        raise ModelRefused(
            f"{name} gave {there.dimensions} dimensions before and now gives {dimensions}: remove it first."
        )
    conn.execute("update crm.embedding_models set state = 'building', least = %s where id = %s", (least, there.id))


def switch(conn: Connection, name: str, *, forced: bool = False) -> tuple[str, Built]:
    """Let a model answer from now on; return which one did before, and how much of the new one is built.

    Raises:
        ModelRefused: it is live already, or passages lack a vector of it and it is not `forced`.
    """
    conn.execute(_ALONE)
    model = named(conn, name)
    if model.state == "live":
        raise ModelRefused(f"{name} is live already.")
    counted = built(conn, model)
    if counted.lacking and not forced:
        raise ModelRefused(
            f"{name} lacks vectors of {counted.lacking:,} of {counted.passages:,} passages, so they would be found by words alone."
            " Wait until it is built (`crm-mcp search models list`), or switch with --force."
        )
    return _made_live(conn, model), counted


def rollback(conn: Connection) -> tuple[str, str, Built]:
    """Let the model answer again that did before; return that one, the one that did until now, and how much of it is there.

    Raises:
        ModelRefused: none did before.
    """
    conn.execute(_ALONE)
    before = [one for one in known(conn) if one.state == "retired" and one.switched_at is not None]
    if not before:
        raise ModelRefused("No other model answered before.")
    model = max(before, key=lambda one: (one.switched_at, one.id))
    counted = built(conn, model)
    return model.name, _made_live(conn, model), counted


def _made_live(conn: Connection, model: Known) -> str:
    former = next(one for one in known(conn) if one.state == "live").name
    conn.execute(_RETIRE)
    conn.execute(_ENLIVEN, (model.id,))
    return former


def remove(conn: Connection, name: str) -> None:
    """Forget a model, and its vectors; who asks it meanwhile finds by words alone.

    Raises:
        ModelRefused: it is live.
    """
    conn.execute(_ALONE)
    model = named(conn, name)
    if model.state == "live":
        raise ModelRefused(f"{name} is live. Switch to another model first.")
    conn.execute("delete from crm.embedding_models where id = %s", (model.id,))
    conn.execute("set local lock_timeout = '30s'")
    conn.execute(f"drop table crm.vectors_{int(model.id)}".encode())
