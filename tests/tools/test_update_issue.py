from datetime import UTC, datetime, timedelta

import pytest
from lab import LUX, ago
from supporting import ODD, carried_out, issue

from crm_mcp.crm.issues import NEXT, SERVICE_HOURS

STATES = tuple(NEXT)
PAIRS = [(was, to) for was in STATES for to in STATES]
WHY = {"reason": "they rang"}


def parsed(text):
    return datetime.fromisoformat(text)


@pytest.fixture
async def customer(lab):
    return await lab.customer("Updater")


@pytest.fixture
def changed(lab, executor, person):
    async def through_approval(number, **asked):
        return await carried_out(lab, executor, person, "update_issue", {"issue": number, **asked})

    return through_approval


def as_of(status, **more):
    """Return a row of an issue in a state, which it has been in for two hours, opened ten hours ago."""
    since = ago(2 / 24)
    row = {"status": status, "opened_at": ago(10 / 24), "resolve_by": ago(-20 / 24), "respond_by": ago(5 / 24)}
    match status:
        case "waiting":
            row |= {"waiting_since": since, "responded_at": since}
        case "resolved" | "closed":
            row |= {"resolved_at": since, "responded_at": since, "resolution": "first"}
    return {**row, **({"closed_at": since} if status == "closed" else {}), **more}


@pytest.mark.parametrize(("was", "to"), PAIRS)
async def test_the_status_machine(lab, executor, person, customer, was, to):
    number = await issue(lab, customer, **as_of(was))
    asked = {
        "issue": number,
        "status": to,
        **WHY,
        **({"resolution": "Sealed"} if to == "resolved" and was != to else {}),
    }
    if was == to:
        told = await lab.ask("update_issue", asked, LUX)
        assert told["summary"] == "Done: change nothing: the issue Leak of Updater is so already."
        return
    if to not in NEXT[was]:
        told = await lab.ask("update_issue", asked, LUX)
        assert (told["error"], told["context"]["status"]) == ("ISSUE_STATUS", was)
        assert told["context"]["possible"] == list(NEXT[was])
        assert all(word in told["context"]["hint"] for word in (NEXT[was] or ("create_issue", "final")))
        return
    told = (await carried_out(lab, executor, person, "update_issue", asked))["issue"]
    assert told["status"] == to
    assert ("waitingSince" in told) is (to == "waiting")
    assert ("resolvedAt" in told) is (to in ("resolved", "closed"))
    assert ("closedAt" in told) is (to == "closed")
    assert ("respondedAt" in told) is (was != "open" or to != "open")


def test_the_machine_is_the_one_agreed():
    assert {pair for pair in PAIRS if pair[1] in NEXT[pair[0]]} == {
        ("open", "waiting"),
        ("open", "resolved"),
        ("waiting", "open"),
        ("waiting", "resolved"),
        ("resolved", "closed"),
        ("resolved", "open"),
    }


@pytest.mark.parametrize(("was", "to"), [("waiting", "open"), ("waiting", "resolved"), ("resolved", "open")])
async def test_the_clock_stands_still_while_it_waits_and_while_it_is_resolved(
    lab, customer, changed, owner_asks, was, to
):
    row = as_of(was)
    number = await issue(lab, customer, **row)
    since = row.get("waiting_since") or row["resolved_at"]
    await changed(number, status=to, **({"resolution": "Sealed"} if to == "resolved" else {}))
    resolve_by, waited, now = owner_asks(
        """select jsonb_build_array(i.resolve_by, i.waited_seconds, d.clock) from crm.issues i, crm.drafts d
         where i.id = %s and d.org_id = i.org_id order by d.id desc limit 1""",
        int(number[4:]),
    )
    assert waited == int((parsed(now) - since).total_seconds())
    assert parsed(resolve_by) == row["resolve_by"] + timedelta(seconds=waited)


async def test_closing_and_waiting_move_nothing_on(lab, customer, changed):
    for was, to in (("resolved", "closed"), ("open", "waiting")):
        row = as_of(was)
        told = (await changed(await issue(lab, customer, **row), status=to))["issue"]
        assert parsed(told["resolveBy"]) == row["resolve_by"]


@pytest.mark.parametrize("priority", list(SERVICE_HOURS))
async def test_a_priority_moves_the_clock_from_when_it_was_opened(lab, customer, changed, priority):
    row = as_of("open", waited_seconds=3600, priority="low" if priority != "low" else "high")
    told = (await changed(await issue(lab, customer, **row), priority=priority))["issue"]
    answer, resolution = SERVICE_HOURS[priority]
    assert parsed(told["respondBy"]) == row["opened_at"] + timedelta(hours=answer)
    assert parsed(told["resolveBy"]) == row["opened_at"] + timedelta(hours=resolution + 1)


async def test_a_priority_after_waiting_counts_the_time_waited_until_now(lab, customer, changed):
    row = as_of("waiting")
    told = (await changed(await issue(lab, customer, **row), status="open", priority="urgent"))["issue"]
    moved = parsed(told["resolveBy"]) - row["opened_at"] - timedelta(hours=8)
    assert timedelta(hours=2) <= moved < timedelta(hours=3)


@pytest.mark.parametrize("resolution", [None, " ", "\n"])
async def test_resolving_needs_a_resolution(lab, customer, resolution):
    number = await issue(lab, customer)
    asked = {"issue": number, "status": "resolved", **WHY, **({"resolution": resolution} if resolution else {})}
    told = await lab.ask("update_issue", asked, LUX)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "resolution")


async def test_a_resolution_alone_is_refused_where_nothing_is_resolved_and_kept_where_it_is(lab, customer, changed):
    number = await issue(lab, customer)
    told = await lab.ask("update_issue", {"issue": number, "resolution": "Sealed", **WHY}, LUX)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "resolution")
    resolved = await issue(lab, customer, **as_of("resolved"))
    assert (await changed(resolved, resolution="Sealed twice"))["issue"]["resolution"] == "Sealed twice"


async def test_the_first_answer_is_stamped_once(lab, customer, changed):
    number = await issue(lab, customer)
    first = (await changed(number, responded=True))["issue"]["respondedAt"]
    assert timedelta() <= datetime.now(UTC) - parsed(first) < timedelta(minutes=5)
    told = await lab.ask("update_issue", {"issue": number, "responded": True, **WHY}, LUX)
    assert "change nothing" in told["summary"]
    assert told["issue"]["respondedAt"] == first.replace("+00:00", "Z") or parsed(
        told["issue"]["respondedAt"]
    ) == parsed(first)


async def test_words_priority_and_assignee_change_as_asked_and_are_said(lab, customer, changed):
    number = await issue(lab, customer)
    made = await changed(
        number, title=ODD, description="wet", type="complaint", priority="urgent", assignee="Lou Lind"
    )
    assert made["held"]["summary"] == (
        f"Nothing has changed yet. It would change the issue {ODD} of Updater: title to {ODD}, description, "
        "type problem to complaint, assign it to Lou Lind, priority normal to urgent."
    )
    told = made["issue"]
    assert (told["title"], told["description"], told["type"]) == (ODD, "wet", "complaint")
    assert (told["priority"], told["assignee"]) == ("urgent", "Lou Lind")
    assert "assignee" not in (await changed(number, assignee="nobody"))["issue"]


async def test_what_is_so_already_changes_nothing(lab, customer):
    number = await issue(lab, customer, description="wet")
    same = {"title": "Leak", "description": "wet", "type": "problem", "priority": "normal", "assignee": "nobody"}
    told = await lab.ask("update_issue", {"issue": number, **same, "status": "open", **WHY}, LUX)
    assert told["type"] == "result" and "change nothing" in told["summary"]
    told = await lab.ask("update_issue", {"issue": number, **WHY}, LUX)
    assert "change nothing" in told["summary"]


async def test_nothing_of_a_closed_issue_changes(lab, customer):
    number = await issue(lab, customer, **as_of("closed"))
    for more in ({"title": "New"}, {"priority": "urgent"}, {"assignee": "me"}, {"status": "open"}):
        told = await lab.ask("update_issue", {"issue": number, **more, **WHY}, LUX)
        assert told["error"] == "ISSUE_STATUS" and "create_issue" in told["context"]["hint"]


async def test_a_missing_or_archived_issue_is_not_found(lab, customer):
    for number in ("iss_999999999", await issue(lab, customer, archived_at=ago(1))):
        told = await lab.ask("update_issue", {"issue": number, "title": "New", **WHY}, LUX)
        assert told["error"] == "ISSUE_NOT_FOUND"


async def test_a_draft_is_stale_when_the_issue_has_moved_meanwhile(lab, executor, person, customer, changed):
    number = await issue(lab, customer)
    held = await lab.ask("update_issue", {"issue": number, "status": "waiting", **WHY}, LUX)
    lea, draft = await person("lea@lab.example"), int(held["draft"]["id"][6:])
    seen = (await executor.show(lea, draft)).hash
    await changed(number, status="resolved", resolution="Sealed")
    assert (await executor.approve(lea, draft, seen)).state == "stale"
