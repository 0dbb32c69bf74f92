"""Edit on the page: a form made of the tool's arguments, checked field by field, saved as the draft's next version."""

import re
from decimal import Decimal
from html import unescape

import pytest

from browser import text
from crm_mcp.approvals import fields
from crm_mcp.approvals.cells import zone_of
from crm_mcp.catalog import every_tool
from crm_mcp.tool import Effect

HOSTILE = "</textarea><script>alert(1)</script> \u202eevil\u202c"


def inputs(html):
    """Return what a browser would send of an edit form, unchanged."""
    form = re.search(r'<form[^>]*class="editing".*?</form>', html, re.DOTALL)[0]
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r' name="([^"]+)"', tag)
        if not name or ('type="checkbox"' in tag and " checked" not in tag):
            continue
        value = re.search(r' value="([^"]*)"', tag)
        sent[name[1]] = unescape(value[1]) if value else ""
    for tag, body in re.findall(r"<textarea([^>]*)>(.*?)</textarea>", form, re.DOTALL):
        sent[re.search(r'name="([^"]+)"', tag)[1]] = unescape(body).removeprefix("\n")
    for tag, body in re.findall(r"<select([^>]*)>(.*?)</select>", form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', body)
        sent[re.search(r'name="([^"]+)"', tag)[1]] = unescape(chosen[1]) if chosen else ""
    return sent


async def opened(browser, draft):
    answer = await browser.get(f"/drafts/{draft}/edit")
    assert answer.status_code == 200, answer.text
    return inputs(answer.text)


async def saved(browser, draft, **changes):
    sent = {**await opened(browser, draft), "reason": "they called back"}
    sent.update({f"a.{name.replace('__', '.')}": value for name, value in changes.items()})
    return await browser.post(f"/drafts/{draft}/edit", sent)


@pytest.fixture
def args(owner_asks):
    return lambda draft: owner_asks("select args::jsonb from crm.drafts where id = %s", int(draft[6:]))


@pytest.mark.parametrize(
    "tool", [tool for tool in every_tool() if tool.effect is not Effect.READ], ids=lambda tool: tool.name
)
def test_every_writing_tool_has_a_form_that_gives_its_arguments_back(tool):
    zone = zone_of("Europe/Berlin")
    made = fields.fields_of(tool)
    assert {field.name for field in made} == set(tool.args.model_fields) - {"reason", "confidence", "idempotency_key"}
    filled = fields.prefilled(made, {}, zone)
    assert all(value is None or value is False for value in fields.read(made, filled, {}, zone).arguments.values())


async def test_an_edited_order_is_shown_anew_with_what_changed_and_who_did_it(signed_in, drafted, args, state):
    mia, draft = await signed_in(), await drafted(quantity=2, comment="by the front door")
    assert f"/drafts/{draft}/edit" in (await mia.get(f"/drafts/{draft}")).text
    shown = text((await mia.follow(await saved(mia, draft, lines__0__quantity="5", comment="by the back"))).text)
    assert "Edited by Mia Moreau" in shown and "they called back" in shown
    assert "Lines · 1 · Quantity 2 5" in shown
    assert "by the front door" in shown and "by the back" in shown
    assert (args(draft)["lines"][0]["quantity"], args(draft)["comment"]) == (5, "by the back")
    assert state(draft) == "pending"
    assert (await mia.press(draft)).status_code == 303
    assert state(draft) == "approved"


async def test_the_form_names_the_records_behind_its_ids(signed_in, drafted):
    shown = text((await (await signed_in()).get(f"/drafts/{await drafted()}/edit")).text)
    assert re.search(r"cust_\d+: Müller & Söhne GmbH", shown)
    assert re.search(r"prod_\d+: \w", shown)
    assert "above your own limit, another person must approve it then" in shown


async def test_rows_are_added_taken_out_and_emptied_without_a_script(signed_in, drafted, args, owner_asks):
    mia, draft = await signed_in(), await drafted(quantity=2)
    product = args(draft)["lines"][0]["product"]
    other = owner_asks(
        "select 'prod_' || p.id from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo'"
        " where not p.discontinued and p.currency = 'EUR' and 'prod_' || p.id <> %s order by p.id limit 1",
        product,
    )
    sent = {**await opened(mia, draft), "reason": "", "a.lines.1.product": other, "a.lines.1.quantity": "4"}
    more = await mia.post(f"/drafts/{draft}/edit", {**sent, "add": "lines"})
    assert more.status_code == 200
    wider = inputs(more.text)
    assert (wider["a.lines.1.product"], wider["a.lines.1.quantity"]) == (other, "4")
    assert len([name for name in wider if name.endswith(".product")]) == 2 + 1 + 5
    wider["a.lines.0.drop"] = "1"
    answer = await mia.post(f"/drafts/{draft}/edit", {**wider, "reason": "the other one"})
    assert answer.status_code == 303, text(answer.text)
    assert [(line["product"], line["quantity"]) for line in args(draft)["lines"]] == [(other, 4)]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lines__0__quantity", "two", "Give a whole number"),
        ("lines__0__quantity", "0", "It must be more than 0"),
        ("lines__0__product", "", "This is needed"),
        ("discount_percent", "12,50", "Give a number such as 12.50"),
        ("discount_percent", "101", "It must be 100 or less"),
        ("comment", "x" * 2001, "Keep it to 2000 characters"),
        ("comment", "a\0b", "Contains a NUL character"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_is_kept(
    signed_in, drafted, args, name, value, said
):
    mia, draft = await signed_in(), await drafted(quantity=2)
    before = args(draft)
    answer = await saved(mia, draft, **{name: value})
    assert answer.status_code == 422
    where = name.replace("__", ".")
    (problem,) = re.findall(rf'id="{re.escape(where)}-problem" role="alert">([^<]*)<', answer.text)
    assert said in unescape(problem)
    kept = inputs(answer.text)
    assert kept["reason"] == "they called back"
    assert kept[f"a.{where}"].replace("\0", "") == value.replace("\0", "")
    assert args(draft) == before


async def test_what_the_run_refuses_is_said_and_nothing_is_saved(signed_in, drafted, args):
    mia, draft = await signed_in(), await drafted()
    before = args(draft)
    answer = await saved(mia, draft, customer="cust_999999999")
    assert answer.status_code == 422
    assert "Nothing was saved" in text(answer.text)
    assert inputs(answer.text)["a.customer"] == "cust_999999999"
    assert args(draft) == before


async def test_a_reason_is_needed(signed_in, drafted):
    mia, draft = await signed_in(), await drafted()
    answer = await mia.post(f"/drafts/{draft}/edit", {**await opened(mia, draft), "a.comment": "new"})
    assert answer.status_code == 422
    assert "Say why" in text(answer.text)
    assert inputs(answer.text)["a.comment"] == "new"


async def test_the_second_tab_is_told_and_keeps_what_was_typed(signed_in, drafted, args):
    mia, ada, draft = await signed_in(), await signed_in("ada@demo.example"), await drafted()
    first, second = await opened(mia, draft), await opened(ada, draft)
    await mia.post(f"/drafts/{draft}/edit", {**first, "a.comment": "hers", "reason": "first"})
    late = await ada.post(f"/drafts/{draft}/edit", {**second, "a.comment": "mine", "reason": "second"})
    assert late.status_code == 409
    assert "Changed meanwhile" in text(late.text)
    again = inputs(late.text)
    assert (again["a.comment"], again["reason"], again["version"]) == ("mine", "second", "2")
    assert args(draft)["comment"] == "hers"
    assert (await ada.post(f"/drafts/{draft}/edit", again)).status_code == 303
    assert args(draft)["comment"] == "mine"


async def test_an_edit_that_comes_after_the_decision_saves_nothing_and_keeps_what_was_typed(
    signed_in, drafted, state
):
    mia, ada, draft = await signed_in(), await signed_in("ada@demo.example"), await drafted()
    typed = {**await opened(ada, draft), "a.comment": "too late", "reason": "late"}
    await mia.press(draft)
    answer = await ada.post(f"/drafts/{draft}/edit", typed)
    assert answer.status_code == 409
    assert "was decided" in text(answer.text) and inputs(answer.text)["a.comment"] == "too late"
    assert "Save and look at it" not in answer.text
    assert state(draft) == "approved"
    assert (await ada.get(f"/drafts/{draft}/edit")).status_code == 303


async def test_an_edit_voids_what_another_approver_saw(signed_in, drafted, state):
    mia, ada, draft = await signed_in(), await signed_in("ada@demo.example"), await drafted()
    seen = await ada.form(draft)
    await saved(mia, draft, comment="other")
    answer = await ada.post(f"/drafts/{draft}/approve", seen)
    assert answer.status_code == 409
    assert state(draft) == "pending"


async def test_a_letter_has_a_letters_form(connect, signed_in, args, owner_asks):
    customer = owner_asks(
        "select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
        " where c.email is not null and c.archived_at is null order by c.id limit 1"
    )
    asked = {
        "to": [customer],
        "subject": "Your order",
        "body": "Dear customer,\n\nit is late.\n",
        "attachments": [{"name": "terms.txt", "text": "small print"}, {"name": "b.txt", "text": "b"}],
        "reason": "it is late",
    }
    async with connect("sam@demo.example") as client:
        draft = (await client.call_tool("send_email_draft", asked)).structured_content["draft"]["id"]
    mia = await signed_in()
    shown = await opened(mia, draft)
    assert (shown["a.to"], shown["a.subject"]) == (customer, "Your order")
    assert shown["a.body"] == "Dear customer,\n\nit is late.\n"
    answer = await saved(
        mia, draft, to=f"{customer}\r\n jo@new.example ", body="Dear Jo,\r\n\r\nsorry.", attachments__0__drop="1"
    )
    assert answer.status_code == 303, text(answer.text)
    now = args(draft)
    assert (now["to"], now["body"]) == ([customer, "jo@new.example"], "Dear Jo,\n\nsorry.")
    assert [file["name"] for file in now["attachments"]] == ["b.txt"]


@pytest.mark.parametrize(
    "forged",
    [
        {"a.approver": "1"},
        {"a.lines.0.unit_price": "0.01"},
        {"a.confidence": "1"},
        {"a.idempotency_key": "x"},
        {"state": "approved"},
        {"a.lines.0.product.x": "1"},
        {"version": "one"},
        {"version": "9" * 30},
    ],
)
async def test_a_forged_field_saves_nothing(signed_in, drafted, args, forged):
    mia, draft = await signed_in(), await drafted()
    before = args(draft)
    sent = {**await opened(mia, draft), "a.comment": "x", "reason": "why", **forged}
    assert (await mia.post(f"/drafts/{draft}/edit", sent)).status_code == 400
    assert args(draft) == before


async def test_a_form_is_bounded(signed_in, drafted, args):
    mia, draft = await signed_in(), await drafted()
    before, sent = args(draft), {**await opened(mia, draft), "reason": "why"}
    assert (await mia.post(f"/drafts/{draft}/edit", {**sent, "a.comment": "x" * 10_000_000})).status_code == 413
    assert (
        await mia.post(f"/drafts/{draft}/edit", {**sent, **{f"a.x{n}": "" for n in range(3000)}})
    ).status_code == 400
    assert (await mia.post(f"/drafts/{draft}/approve", {**sent, "hash": "x" * 20_000})).status_code == 413
    assert args(draft) == before


async def test_hostile_text_stays_text_in_the_form(signed_in, drafted, args):
    mia, draft = await signed_in(), await drafted(comment=HOSTILE)
    html = (await mia.get(f"/drafts/{draft}/edit")).text
    assert "<script>alert" not in html
    assert "With hidden characters" in text(html) and "U+202E" in html
    assert inputs(html)["a.comment"] == HOSTILE
    assert (await saved(mia, draft, discount_percent="5")).status_code == 303
    assert args(draft)["comment"] == HOSTILE
    assert Decimal(args(draft)["discount_percent"]) == 5


async def test_only_who_asked_and_who_may_approve_edit(signed_in, drafted, args):
    sam, olga, otto = [
        await signed_in(f"{name}@{org}.example")
        for name, org in (("sam", "demo"), ("olga", "demo"), ("otto", "other"))
    ]
    draft = await drafted()
    before, typed = args(draft), {**await opened(sam, draft), "a.comment": "x", "reason": "why"}
    for other in (olga, otto):
        assert (await other.get(f"/drafts/{draft}/edit")).status_code == 404
        token = re.search(r'name="csrf" value="(\w+)"', (await other.get("/")).text)[1]
        assert (await other.post(f"/drafts/{draft}/edit", {**typed, "csrf": token})).status_code == 404
    assert (await sam.post(f"/drafts/{draft}/edit", {**typed, "csrf": "0" * 64})).status_code == 403
    assert args(draft) == before
    assert (await sam.post(f"/drafts/{draft}/edit", typed)).status_code == 303


async def test_the_editor_needs_another_above_their_limit(signed_in, drafted, state):
    fin, draft = await signed_in("fin@demo.example"), await drafted()
    assert (await saved(fin, draft, lines__0__quantity="100000")).status_code == 303
    assert (await fin.press(draft)).status_code == 403
    assert state(draft) == "pending"
