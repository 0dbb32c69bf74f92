"""Tables of the orgs' own: what is registered can be queried, or somebody hears why not."""

import psycopg

from ...config import Settings
from ...query.own import confine, register
from ..session import conninfo
from .finding import Finding, ok, problem

_FAULTS = """select w.type || '.' || w.name, crm.own_table_fault(w) from crm.own_tables w
 where w.org_id = nullif(current_setting('crm.org_id', true), '')::bigint order by 1"""


def own_tables(known: Settings) -> Finding:
    """Nothing is wrong with a registered table; what is closed for a fault can often be confined again as it is."""
    count, faults = 0, list[str]()
    with psycopg.connect(
        conninfo(known, "crm_agent"), connect_timeout=10, options="-c statement_timeout=10000"
    ) as conn:
        for org, slug in conn.execute("select id, slug from crm.orgs order by slug").fetchall():
            conn.execute("select set_config('crm.org_id', %s, true)", (str(org),))
            for label, fault in conn.execute(_FAULTS).fetchall():
                count += 1
                faults += [f"{label} of {slug}: {fault}"] if fault else []
    if not faults:
        return ok(f"registered: {count}" if count else "none is registered")

    def mend() -> str:
        with psycopg.connect(conninfo(known, "crm_owner")) as conn:
            register.begin(conn)
            done = [
                one.entry.label
                for kind in ("table", "view")  # what is made of tables comes after them
                for one in register.listed(conn)
                if one.fault and one.entry.kind == kind and not confine.renew(conn, one.entry)
            ]
        return f"confined again: {', '.join(done) or 'none'}"

    fix = "Set right what is said and run `crm-mcp doctor --fix`, register it anew with --replace, or `crm-mcp registry remove` it."
    return problem(f"closed to queries: {'; '.join(faults)}", fix, mend)
