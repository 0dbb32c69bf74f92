"""`crm-mcp serve` is killed around a write: what was answered is there, and nothing is there by halves."""

import uuid

import psycopg
import pytest
from campaign_client import Server

SHORT = ("audited, not committed", "committed, not answered", "answered")
LONG = ("before anything", "begun", "run again", *SHORT)
THERE = frozenset({"committed, not answered", "answered"})


def traces(desk, tool: str, mark: str) -> dict[str, int]:
    """Count what one call left: its record, the recorder's rows of it, its audit rows."""
    call = "select call_id from crm.audit_log where phase = 'begun' and tool = %(tool)s and payload like %(mark)s"
    record = (
        "select count(*) from crm.notes where body like %(mark)s"
        if tool == "add_note"
        else "select count(*) from crm.drafts where state = 'pending' and args like %(mark)s"
    )
    names = ("record", "changes", "begun", "ended")
    row = desk.owner.execute(
        f"""select ({record}), (select count(*) from crm.changes where call_id in ({call})),
         (select count(*) from crm.audit_log where phase = 'begun' and call_id in ({call})),
         (select count(*) from crm.audit_log where phase = 'ended' and call_id in ({call}))""",
        {"tool": tool, "mark": f"%{mark}%"},
    ).fetchone()
    return dict(zip(names, row, strict=True))


def halves(tool: str, left: dict[str, int], there: bool) -> list[str]:
    """Return what is there by halves, or not there though it was answered."""
    due = {"record": int(there), "changes": int(there and tool == "add_note"), "ended": int(there)}
    return [f"{left[name]} {name}, {number} due" for name, number in due.items() if left[name] != number]


def test_the_oracle_sees_a_note_without_its_ended_row(desk):
    mark = uuid.uuid4().hex
    with desk.owner.transaction():
        desk.owner.execute(
            "select set_config('crm.call_id', '7', true), set_config('crm.org_id', %s, true)", (str(desk.org),)
        )
        desk.owner.execute(
            "insert into crm.notes(org_id, customer_id, body) values (%s, %s, %s)",
            (desk.org, desk.customers[0], mark),
        )
        assert halves("add_note", traces(desk, "add_note", mark), True) == ["0 changes, 1 due", "0 ended, 1 due"]
        raise psycopg.Rollback


@pytest.mark.parametrize("tool", ["add_note", "create_order_draft"])
def test_a_killed_server_leaves_a_write_whole_or_not_at_all(home, desk, is_long, tool):
    for point in LONG * 5 if is_long else SHORT:
        mark = uuid.uuid4().hex
        arguments = (
            {"about": f"cust_{desk.customers[0]}", "body": mark, "reason": "a campaign"}
            if tool == "add_note"
            else {**desk.order(), "comment": mark}
        )
        with Server(home, point) as server:
            answer = server.call(tool, arguments)
            server.kill()
        assert (answer is not None) == (point == "answered"), (point, answer)
        left = traces(desk, tool, mark)
        assert halves(tool, left, point in THERE) == [], point
        assert left["begun"] == (0 if point == "before anything" else 1), point
