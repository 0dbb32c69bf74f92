import psycopg
import pytest
from lab import LEA, LOU, LUX, Lab
from supporting import ODD

from crm_mcp.demo.staff import Member

GIVEN = {"title": "Ring them", "reason": "they asked"}


async def test_a_task_runs_at_once_and_is_ones_own_by_default(lab: Lab, owner_asks):
    customer = await lab.customer("Busy")
    told = await lab.ask("create_task", {**GIVEN, "about": customer, "due_on": "2030-01-02", "priority": "high"}, LUX)
    assert told["type"] == "result"
    assert told["summary"] == "Done: create the task Ring them, due 2030-01-02."
    assert told["task"]["assignee"] == "Lux Lehr"
    assert told["task"]["about"] == {"id": customer, "name": "Busy"}
    number = int(told["task"]["id"][5:])
    assert owner_asks("select customer_id from crm.tasks where id = %s", number) == int(customer[5:])


@pytest.mark.parametrize("named", ["lou@lab.example", " LOU@lab.example ", "Lou Lind", "lou lind", "lind"])
async def test_a_task_for_a_colleague_runs_too(lab, named):
    told = await lab.ask("create_task", {**GIVEN, "assignee": named}, LUX)
    assert told["type"] == "result"
    assert told["task"]["assignee"] == "Lou Lind"
    assert told["summary"] == "Done: create the task Ring them for Lou Lind."
    assert "warnings" not in told


async def test_a_part_that_fits_several_is_ambiguous(lab):
    told = await lab.ask("create_task", {**GIVEN, "assignee": "l"})
    assert told["error"] == "PERSON_AMBIGUOUS"
    assert {one["email"] for one in told["context"]["suggestions"]} >= {LEA, LOU, LUX}


async def test_a_whole_name_comes_before_a_part_of_another(lab, home):
    people = [Member("ann@lab.example", "Ann", "sales"), Member("annabel@lab.example", "Annabel", "sales")]
    join(home, people)
    told = await lab.ask("create_task", {**GIVEN, "assignee": "ann"})
    assert told["task"]["assignee"] == "Ann"
    assert (await lab.ask("create_task", {**GIVEN, "assignee": "anna"}))["task"]["assignee"] == "Annabel"


async def test_who_is_not_there_is_not_found_and_who_resembles_is_offered(lab):
    told = await lab.ask("create_task", {**GIVEN, "assignee": "Lou Lint"})
    assert told["error"] == "PERSON_NOT_FOUND"
    assert told["context"]["suggestions"][0] == {"name": "Lou Lind", "email": LOU}


@pytest.mark.parametrize("named", ["ada@demo.example", "Ada", "%", "_", "'; --", "  ", ""])
async def test_people_of_other_orgs_are_nobody(lab, named):
    told = await lab.ask("create_task", {**GIVEN, "assignee": named})
    assert told["error"] == "PERSON_NOT_FOUND"
    assert "demo.example" not in str(told["context"]["suggestions"])


async def test_who_has_left_is_not_found(lab, home):
    join(home, [Member("gone@lab.example", "Gustav Gone", "sales")])
    with owner(home) as conn:
        conn.execute(
            "update crm.memberships m set active = false from crm.users u where u.id = m.user_id and u.email = 'gone@lab.example'"
        )
    for named in ("gone@lab.example", "Gustav Gone"):
        told = await lab.ask("create_task", {**GIVEN, "assignee": named})
        assert told["error"] == "PERSON_NOT_FOUND" and "Gustav" not in str(told["context"]["suggestions"])


async def test_little_confidence_holds_a_task(lab):
    assert (await lab.ask("create_task", {**GIVEN, "confidence": 0.5}))["type"] == "approval_required"


async def test_a_hostile_title_is_kept_as_written(lab, owner_asks):
    told = await lab.ask("create_task", {**GIVEN, "title": ODD})
    assert told["task"]["title"] == ODD
    assert owner_asks("select title from crm.tasks where id = %s", int(told["task"]["id"][5:])) == ODD


@pytest.mark.parametrize("title", ["", " ", "\u200b\u202e", "\n\t", "x" * 401, "a\0b"])
async def test_a_title_that_nobody_can_read_is_refused(lab, title):
    told = await lab.ask("create_task", {**GIVEN, "title": title})
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "title")


def owner(home):
    return psycopg.connect(home.conninfo("crm_owner"))


def join(home, members):
    with owner(home) as conn:
        for one in members:
            conn.execute(
                "insert into crm.users(email, name) values (%s, %s) on conflict do nothing", (one.email, one.name)
            )
            conn.execute(
                """insert into crm.memberships(org_id, user_id, role) select o.id, u.id, %s from crm.orgs o, crm.users u
                where o.slug = 'lab' and u.email = %s on conflict do nothing""",
                (one.role, one.email),
            )
