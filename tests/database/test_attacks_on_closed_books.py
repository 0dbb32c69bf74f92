"""Nothing is posted into closed books, whoever asks and in whatever SQL."""

from collections.abc import Callable, Generator

import psycopg
import pytest
from database_logins import APPROVE, Login, Scene, Weaken, refused

CLOSED = "CRM01"
LOGINS = ("crm_agent", "crm_worker", "crm_approver")
DOCUMENTS = {
    "an invoice": """insert into crm.invoices(org_id, customer_id, currency, net_total, tax_total, gross_total, issued_on, due_on)
     values ({org}, {customer}, 'EUR', 1, 0, 1, {day}, {day}) returning id""",
    "a payment": "insert into crm.payments(org_id, customer_id, currency, amount, received_on) values ({org}, {customer}, 'EUR', 1, {day}) returning id",
    "a credit note": """insert into crm.credit_notes(org_id, customer_id, invoice_id, currency, net_total, tax_total, gross_total, issued_on, explanation)
     select {org}, {customer}, min(id), 'EUR', 1, 0, 1, {day}, 'x' from crm.invoices where org_id = {org} returning id""",
}
CHANGES = {
    "its amount": "update crm.invoices set net_total = net_total + 1, gross_total = gross_total + 1 where org_id = {org} and issued_on <= {day}",
    "its day, out of closed books": "update crm.invoices set issued_on = {day} + 1 where org_id = {org} and issued_on <= {day}",
    "its day, into closed books": "update crm.invoices set issued_on = {day} where org_id = {org} and issued_on > {day}",
    "its customer": "update crm.invoices set customer_id = {second} where org_id = {org} and issued_on <= {day}",
    "that it is there": "update crm.invoices set archived_at = now() where org_id = {org} and issued_on <= {day}",
    "that it ever was": "delete from crm.invoices where org_id = {org} and issued_on <= {day}",
}


@pytest.fixture(params=LOGINS)
def poster(request: pytest.FixtureRequest, login: Callable[[str], Login]) -> Login:
    return login(request.param)


@pytest.fixture
def day(root: psycopg.Connection, scene: Scene) -> Generator[str]:
    """Close the books of the org in the midst of its invoices; return the day as SQL."""
    row = root.execute(
        "select percentile_disc(0.5) within group (order by issued_on) from crm.invoices where org_id = %s",
        (scene.org,),
    ).fetchone()
    assert row is not None
    with root.transaction():
        root.execute("set local session_replication_role = replica")
        root.execute(
            "insert into crm.org_settings(org_id, books_closed_through) values (%s, %s)"
            " on conflict (org_id) do update set books_closed_through = excluded.books_closed_through",
            (scene.org, row[0]),
        )
    yield f"date '{row[0]}'"
    with root.transaction():
        root.execute("set local session_replication_role = replica")
        root.execute("update crm.org_settings set books_closed_through = null where org_id = %s", (scene.org,))


def sql(statement: str, scene: Scene, day: str) -> str:
    return statement.format(org=scene.org, customer=scene.customer, second=scene.second, day=day)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_document_is_dated_into_closed_books(poster: Login, scene: Scene, day: str, document: str):
    statement = DOCUMENTS[document]
    for closed in (day, f"{day} - 1000"):
        with refused(CLOSED), poster.bound(scene.org):
            poster.ask(sql(statement, scene, closed))
    with pytest.raises(psycopg.Error, match="unapproved"), poster.bound(scene.org):
        # The day after is open: then the guard alone refuses, as it does everywhere.
        poster.ask(sql(statement, scene, f"{day} + 1"))


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_posted_in_closed_books_stays(poster: Login, scene: Scene, day: str, change: str):
    with refused(CLOSED), poster.bound(scene.org):
        poster.ask(sql(CHANGES[change], scene, day))


def test_an_approved_call_posts_into_closed_books_as_little(
    login: Callable[[str], Login], scene: Scene, day: str, weakened: Weaken
):
    agent, approving = login("crm_agent"), login("crm_approver")

    def post() -> None:
        draft = agent.hold(scene.org, agent.token("sam@demo.example"))
        with approving.bound(scene.org, token=approving.token("mia@demo.example"), draft=draft):
            approving.ask(sql(DOCUMENTS["an invoice"], scene, day))
            approving.ask(APPROVE, scene.org, draft)

    with refused(CLOSED):
        post()
    with weakened(functions={"crm.books_are_open()": ("<= closed", "< '-infinity'")}):
        post()


def test_what_is_paid_of_an_invoice_of_closed_books_still_changes(
    login: Callable[[str], Login], scene: Scene, day: str
):
    approving = login("crm_approver")
    with pytest.raises(psycopg.Error, match="unapproved"), approving.bound(scene.org):
        approving.ask(
            sql(
                "update crm.invoices set paid_total = paid_total + 1 where org_id = {org} and issued_on <= {day}",
                scene,
                day,
            )
        )


def test_books_do_not_close_between_a_posting_and_its_commit(login: Callable[[str], Login], scene: Scene, day: str):
    posting, closing = login("crm_agent"), login("crm_worker")

    def post_while_closing() -> None:
        with posting.bound(scene.org):
            posting.ask(sql(DOCUMENTS["a payment"], scene, f"{day} + 1"))
            with refused("55P03"), closing.bound(scene.org):
                closing.ask(
                    f"update crm.org_settings set books_closed_through = {day} + 1 where org_id = {scene.org}"
                )

    with refused(saying="unapproved"):
        post_while_closing()
