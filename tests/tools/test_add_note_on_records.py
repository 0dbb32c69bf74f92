import pytest
from lab import LOU, LUX, ago, today
from supporting import issue

from crm_mcp.crm.models import Contact, Payment, Quote, Task

FIN = "fin@demo.example"


async def of_every_kind(lab, customer):
    number = int(customer[5:])
    product = await lab.product("5")
    money = {"net_total": 1, "tax_total": 0, "gross_total": 1, "base_total": 1, "currency": "EUR"}
    (contact,) = await lab.add(Contact, {"customer_id": number, "name": "Cora"})
    (quote,) = await lab.add(
        Quote, {"customer_id": number, "quoted_at": ago(1), "valid_until": today(), **money, "number": f"Q-{number}"}
    )
    (payment,) = await lab.add(
        Payment, {"customer_id": number, "currency": "EUR", "amount": 12, "received_on": today()}
    )
    (task,) = await lab.add(Task, {"title": "Ring", "subject_type": "products", "subject_id": int(product[5:])})
    return {
        "Kinds": customer,
        "Cora": f"cont_{contact}",
        "Thing": product,
        f"quote Q-{number}": f"quo_{quote}",
        "order ORD-": await lab.order(customer, "5", ago(3)),
        "payment of EUR 12.00": f"pay_{payment}",
        "Leak": await issue(lab, customer),
        "Ring": f"task_{task}",
    }


async def test_a_note_goes_on_any_record_and_bears_its_customer(lab, owner_asks):
    customer = await lab.customer("Kinds")
    for name, about in (await of_every_kind(lab, customer)).items():
        told = await lab.ask("add_note", {"about": about, "body": name, "reason": "they said so"})
        assert told["note"]["about"]["id"] == about
        assert told["note"]["about"]["name"].startswith(name)
        whose = owner_asks("select customer_id from crm.notes where id = %s", int(told["note"]["id"][5:]))
        assert whose == (None if about[:4] in ("prod", "task") else int(customer[5:]))


@pytest.mark.parametrize("prefix", ["cust", "cont", "prod", "quo", "ord", "inv", "pay", "iss", "task"])
async def test_what_does_not_exist_is_named_as_its_kind(lab, prefix):
    told = await lab.ask("add_note", {"about": f"{prefix}_999999999", "body": "x", "reason": "they said so"})
    assert told["error"].endswith("_NOT_FOUND")
    assert told["context"]["searchedId"] == f"{prefix}_999999999"


async def test_support_finds_no_payment_and_the_notes_on_it_do_not_show(lab):
    customer = await lab.customer("Payer")
    number = int(customer[5:])
    (paid,) = await lab.add(Payment, {"customer_id": number, "currency": "EUR", "amount": 12, "received_on": today()})
    asked = {"about": f"pay_{paid}", "body": "bounced", "reason": "they said so"}
    missing = await lab.ask("add_note", {**asked, "about": "pay_999999999"}, LUX)
    hidden = await lab.ask("add_note", asked, LUX)
    assert missing["error"] == "PAYMENT_NOT_FOUND"
    assert str(hidden).replace(f"pay_{paid}", "pay_999999999") == str(missing)
    await lab.ask("add_note", asked, LOU)
    for email, seen in ((LOU, ["bounced"]), (LUX, [])):
        told = await lab.ask("get_customer", {"customer": customer, "include": ["notes"]}, email)
        assert [note["text"] for note in told["customer"]["notes"]] == seen


async def test_a_note_on_a_task_about_a_hidden_record_is_hidden_too(lab):
    customer = await lab.customer("Chained")
    number = int(customer[5:])
    (paid,) = await lab.add(Payment, {"customer_id": number, "currency": "EUR", "amount": 12, "received_on": today()})
    about = f"pay_{paid}"
    for turn in range(3):
        asked = {"title": f"Step {turn}", "about": about, "reason": "they said so"}
        about = (await lab.ask("create_task", asked, LOU))["task"]["id"]
    asked = {"about": about, "body": "secret of the payment", "reason": "they said so"}
    assert (await lab.ask("add_note", asked, LUX))["error"] == "TASK_NOT_FOUND"
    await lab.ask("add_note", asked, LOU)
    for email, seen in ((LOU, 1), (LUX, 0)):
        told = await lab.ask("get_customer", {"customer": customer, "include": ["notes", "openTasks"]}, email)
        assert len(told["customer"]["notes"]) == seen
        assert len(told["customer"]["openTasks"]) == 3 * seen


async def test_finance_neither_finds_an_issue_nor_sees_what_is_on_it(connect, owner_asks):
    mine = "select min(i.id) from crm.issues i join crm.orgs o on o.id = i.org_id where o.slug = 'demo' and i.status = 'open'"
    number = owner_asks(mine)
    customer = f"cust_{owner_asks('select customer_id from crm.issues where id = %s', number)}"
    include = ["notes", "activity", "openIssues", "openTasks"]
    async with connect("sue@demo.example") as sue, connect(FIN) as fin:
        asked = {"about": f"iss_{number}", "reason": "they said so"}
        await sue.call_tool("add_note", {**asked, "body": "Zhush of the issue"})
        await sue.call_tool("log_activity", {**asked, "kind": "call", "subject": "Zhush call"})
        await sue.call_tool("create_task", {**asked, "title": "Zhush task"})
        for tool, more in (
            ("add_note", {"body": "x"}),
            ("log_activity", {"kind": "call", "subject": "x"}),
            ("create_task", {"title": "x"}),
        ):
            hidden = (await fin.call_tool(tool, {**asked, **more})).structured_content
            missing = (await fin.call_tool(tool, {**asked, **more, "about": "iss_999999999"})).structured_content
            assert hidden["error"] == "ISSUE_NOT_FOUND"
            assert str(hidden).replace(f"iss_{number}", "iss_999999999") == str(missing)
        seen = (await sue.call_tool("get_customer", {"customer": customer, "include": include})).structured_content
        assert str(seen).count("Zhush") == 3 and seen["customer"]["openIssues"]
        told = (await fin.call_tool("get_customer", {"customer": customer, "include": include})).structured_content
        assert "Zhush" not in str(told) and "iss_" not in str(told)
        assert "openIssues" not in told["customer"]
        assert "urgent" not in str(told["_meta"])
        listed = (await fin.call_tool("get_tasks", {"customer": customer})).structured_content
        assert "Zhush" not in str(listed)
        with_about = (await fin.call_tool("get_tasks", {"about": f"iss_{number}"})).structured_content
        assert with_about["tasks"] == [] and with_about["_meta"]["total"] == 0


async def test_finance_keeps_a_task_given_to_them_without_what_it_is_about(connect, owner_asks):
    mine = "select min(i.id) from crm.issues i join crm.orgs o on o.id = i.org_id where o.slug = 'demo' and i.status = 'open'"
    about = f"iss_{owner_asks(mine)}"
    async with connect("sue@demo.example") as sue, connect(FIN) as fin:
        asked = {"title": "Send the papers", "assignee": FIN, "about": about, "reason": "they asked"}
        given = (await sue.call_tool("create_task", asked)).structured_content
        assert "may not open the issue" in given["warnings"][0]
        task = given["task"]["id"]
        listed = (await fin.call_tool("get_tasks", {})).structured_content["tasks"]
        (seen,) = [row for row in listed if row["id"] == task]
        assert "about" not in seen and "customer" not in seen
        told = (await fin.call_tool("complete_task", {"task": task, "reason": "sent"})).structured_content
        assert told["task"]["status"] == "done" and "about" not in told["task"]
