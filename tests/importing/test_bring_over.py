"""Exports of HubSpot, Salesforce and Pipedrive become our records: known by their headers, planned, undone as one."""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from crm_mcp.crm.models import Base
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from crm_mcp.importing import foreign, twins, values
from crm_mcp.importing.undo import undo
from crm_mcp.importing.values import How
from crm_mcp.importing.whole import Whole, bring_over, plans
from orgs import Desk, sit_down

FIXTURES = Path(__file__).parent / "fixtures"
SLUGS = count(1)
ASIDE = {"users", "orgs"}


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    desk = await sit_down(home, approver, tmp_path, f"bring{next(SLUGS)}")
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(
            """with u as (insert into crm.users(email, name) values (%s, 'Sabine Öztürk')
             on conflict (email_norm) do update set name = excluded.name returning id)
            insert into crm.memberships(org_id, user_id, role) select %s, id, 'sales' from u""",
            ("sabine@bring.example", desk.who.org),
        )
    return desk


async def bring(
    desk: Desk, *paths: Path, wanted: Callable[[Whole], bool] | None = lambda _: True, **how: Any
) -> Whole:
    return await bring_over(desk.db, desk.who, plans(list(paths), **how), wanted=wanted)


def state(desk: Desk) -> dict[str, str]:
    """Return every row of the org's own tables, but for what a new version changes by itself."""
    tables = sorted(table.name for table in Base.metadata.tables.values())
    stamps = "- 'version' - 'updated_at' - 'updated_by'"
    rows = {}
    for table in tables:
        found = desk.ask(
            f"select coalesce(jsonb_agg(to_jsonb(t) {stamps} order by id), '[]') from crm.{table} t where org_id = %s"  # type: ignore[arg-type]
        )
        rows[table] = json.dumps(found[0][0], sort_keys=True)
    return rows


def rejected(whole: Whole) -> list[str]:
    return [one.reason for report in whole.reports for one in report.rejected]


async def test_a_hubspot_export_comes_over_whole(desk: Desk) -> None:
    whole = await bring(desk, FIXTURES / "hubspot")

    assert [one.kind for one in whole.plans] == ["organizations", "contacts", "deals", "issues", "tasks", "notes"]
    assert rejected(whole) == []
    assert desk.ask(
        """select o.name, o.domain, o.employees, u.name from crm.organizations o
        left join crm.users u on u.id = o.owner_id where org_id = %s order by o.id"""
    ) == [
        ("Müller Maschinenbau GmbH", "mueller-maschinenbau.example", 250, "Sabine Öztürk"),
        ("Løvstad & Søn, ApS", "lovstad.example", 40, "Sabine Öztürk"),
        ('The "Quiet" Company', "quiet.example", None, None),
        ("NewCo Ltd", None, None, None),
    ]
    assert desk.ask(
        """select c.name, c.email, o.name, i.name from crm.contacts c
        left join crm.organizations o on o.org_id = c.org_id and o.id = c.organization_id
        left join crm.individuals i on i.org_id = c.org_id and i.id = c.individual_id where c.org_id = %s order by c.id"""
    ) == [
        ("Jürgen Groß", "juergen.gross@mueller-maschinenbau.example", "Müller Maschinenbau GmbH", None),
        ("Åse Løvstad", "ase@lovstad.example", "Løvstad & Søn, ApS", None),
        ("solo@freelance.example", "solo@freelance.example", None, "solo@freelance.example"),
        ("Tom Reed", "tom@newco.example", "NewCo Ltd", None),
    ]
    assert desk.ask(
        """select d.name, d.status, d.amount::text, d.probability::text, d.closed_at is not null, d.lost_reason, c.name
        from crm.deals d left join crm.contacts c on c.org_id = d.org_id and c.id = d.contact_id
        where d.org_id = %s order by d.id"""
    ) == [
        ("Retrofit line 3", "open", "125000.5000", "90.00", False, None, "Jürgen Groß"),
        ("Chairs for the office", "won", "8000.0000", "100.00", True, None, "Åse Løvstad"),
        ("Pilot", "lost", None, "0.00", True, "Price too high", None),
    ]
    assert desk.ask(
        """select i.title, i.status, i.priority, i.description, k.name from crm.issues i
        join crm.customers k on k.org_id = i.org_id and k.id = i.customer_id where i.org_id = %s order by i.id"""
    ) == [
        (
            'Spindle makes noise, "loud"',
            "waiting",
            "high",
            "Since Monday.\nOnly at > 3000 rpm.",
            "Müller Maschinenbau GmbH",
        ),
        ("Invoice address", "closed", "normal", None, "solo@freelance.example"),
    ]
    assert desk.ask("select title, status, subject_type from crm.tasks where org_id = %s order by id") == [
        ("Call Jürgen back", "open", "deals"),
        ("Send samples", "done", "organizations"),
    ]
    assert desk.ask("select body, subject_type from crm.notes where org_id = %s order by id") == [
        ("Wants a visit in October.\nBring the sample & price list.", "contacts"),
        ("Lost because of price", "deals"),
    ]


async def test_a_salesforce_export_comes_over_whole(desk: Desk) -> None:
    whole = await bring(desk, FIXTURES / "salesforce", dates="mdy")

    assert rejected(whole) == []
    assert [one.preset.title for one in whole.plans if one.preset] == ["Salesforce"] * 6
    assert desk.ask("select name, street, employees, domain from crm.organizations where org_id = %s order by id")[
        :2
    ] == [
        ("Größe & Söhne KG", "Hauptstraße 1\nHinterhaus", 120, "groesse.example"),
        ("Acme, Inc.", "1 Main St", 1200, "acme.example"),
    ]
    assert desk.ask(
        """select c.name, o.name from crm.contacts c join crm.organizations o on o.org_id = c.org_id
        and o.id = c.organization_id where c.org_id = %s order by c.id"""
    ) == [("Renée Größe", "Größe & Söhne KG"), ("Bob Stone", "Acme, Inc.")]
    assert desk.ask(
        """select l.name, l.status, l.source, i.email, o.name from crm.leads l
        join crm.individuals i on i.org_id = l.org_id and i.id = l.individual_id
        join crm.organizations o on o.org_id = l.org_id and o.id = l.organization_id where l.org_id = %s"""
    ) == [("Ida Ström, Ström Konsult AB", "contacted", "Trade Show", "ida@strom.example", "Ström Konsult AB")]
    assert desk.ask(
        "select name, status, amount::text, expected_close_on::text, closed_at::date::text from crm.deals where org_id = %s order by id"
    ) == [
        ("Shelves", "open", "12500.7500", "2026-12-31", None),
        ("Anvils", "won", "1000.0000", "2026-06-05", "2026-06-04"),
    ]
    assert desk.ask("select title, priority, opened_at::text from crm.issues where org_id = %s") == [
        ("Anvil cracked", "urgent", "2026-09-14 12:05:00+00")
    ]
    assert desk.ask("select title, subject_type, status from crm.tasks where org_id = %s order by id") == [
        ("Send quote", "deals", "open"),
        ("Ask for a photo", "issues", "done"),
    ]


async def test_a_pipedrive_export_comes_over_whole(desk: Desk) -> None:
    whole = await bring(desk, FIXTURES / "pipedrive", decimal=",")

    assert rejected(whole) == []
    assert desk.ask("select name, country from crm.organizations where org_id = %s order by id") == [
        ("Žižkov Bikes s.r.o.", "Czechia"),
        ("Kaffee; Kuchen & Co", "Germany"),
        ("Nové Sady a.s.", None),
    ]
    assert desk.ask(
        """select d.name, d.status, d.amount::text, d.closed_at::text, o.name, c.name from crm.deals d
        join crm.organizations o on o.org_id = d.org_id and o.id = d.organization_id
        join crm.contacts c on c.org_id = d.org_id and c.id = d.contact_id where d.org_id = %s order by d.id"""
    ) == [
        ("Fleet of 20 bikes", "open", "18000.0000", None, "Žižkov Bikes s.r.o.", "Šárka Nováková"),
        ("Beans for a year", "won", "1200.5000", "2025-12-09 11:00:00+00", "Kaffee; Kuchen & Co", "Uwe Meier"),
    ]
    assert desk.ask("select email from crm.contacts where org_id = %s order by id")[0] == ("sarka@bikes.example",)
    assert desk.ask("select body, subject_type from crm.notes where org_id = %s") == [
        ('Prefers green.\nAsked for "two" sizes.', "deals")
    ]
    assert desk.ask("select title, subject_type from crm.tasks where org_id = %s order by id") == [
        ("Demo ride", "deals"),
        ("Call", "organizations"),
    ]


async def test_the_plan_names_strangers_likely_duplicates_and_columns_that_nothing_reads(desk: Desk) -> None:
    await desk.bring("organizations", "id,name,domain\nx,Mueller Maschinenbau,mueller-maschinenbau.example\n")
    [(there,)] = desk.ask("select id from crm.organizations where org_id = %s")
    before = state(desk)

    whole = await bring(desk, FIXTURES / "hubspot", wanted=None)

    companies, contacts, deals = whole.reports[:3]
    assert companies.strangers == {"Greg Former": 1}
    assert deals.strangers == {"Greg Former": 1}
    assert contacts.beside == {"individuals": 1, "organizations": 1}
    assert companies.ignored[FIXTURES / "hubspot" / "companies.csv"] == [
        "Create Date",
        "Last Activity Date",
        "Annual Revenue",
    ]
    assert [(one.new, one.other) for one in whole.twins] == [
        ("Müller Maschinenbau GmbH (companies.csv, line 2)", f"Mueller Maschinenbau (org_{there})")
    ]
    assert companies.becomes[0] == (2, "created", "Müller Maschinenbau GmbH")
    assert whole.draft is None
    assert state(desk) == before


@pytest.mark.parametrize(
    ("system", "how"), [("hubspot", {}), ("salesforce", {"dates": "mdy"}), ("pipedrive", {"decimal": ","})]
)
async def test_a_second_run_changes_nothing_and_one_undo_leaves_the_org_as_it_was(
    desk: Desk, system: str, how: dict[str, Any]
) -> None:
    await desk.bring("organizations", "id,name\n10676775001,Before\n", source=system)
    before = state(desk)

    whole = await bring(desk, FIXTURES / system, keep=True, **how)
    after = state(desk)
    again = await bring(desk, FIXTURES / system, keep=True, **how)

    assert whole.draft is not None
    assert sum(one.updated for one in whole.reports) == (system == "hubspot")
    assert [(one.created, one.updated) for one in again.reports] == [(0, 0)] * len(again.reports)
    assert state(desk) == after != before

    await undo(desk.db, desk.who, whole.draft)

    assert state(desk) == before
    with pytest.raises(Refusal, match="ALREADY_UNDONE"):
        await undo(desk.db, desk.who, whole.draft)


async def test_an_import_that_was_built_upon_is_not_undone(desk: Desk) -> None:
    whole = await bring(desk, FIXTURES / "hubspot")
    await desk.bring("notes", "id,body,organization_id\n1,Later,10676775001\n", source="hubspot")

    with pytest.raises(Refusal, match="USED_SINCE"):
        await undo(desk.db, desk.who, whole.draft or 0)


async def test_an_import_whose_records_changed_is_not_undone(desk: Desk) -> None:
    whole = await bring(desk, FIXTURES / "hubspot")
    await desk.bring("organizations", "id,name\n10676775001,Renamed\n", source="hubspot")

    with pytest.raises(Refusal, match="CHANGED_SINCE"):
        await undo(desk.db, desk.who, whole.draft or 0)


async def test_what_is_not_wanted_is_not_kept(desk: Desk) -> None:
    before = state(desk)

    whole = await bring(desk, FIXTURES / "hubspot", wanted=lambda shown: shown.reports[0].created > 100)

    assert whole.draft is None
    assert state(desk) == before


async def test_columns_are_kept_as_own_fields_when_asked(desk: Desk) -> None:
    await bring(desk, FIXTURES / "hubspot", keep=True)

    assert desk.ask(
        "select custom_fields ->> 'deal_stage', custom_fields ->> 'pipeline' from crm.deals where org_id = %s order by id"
    )[0] == (
        "Contract Sent",
        "Sales Pipeline",
    )
    assert ("deals", "deal_stage", "Deal Stage") in desk.ask(
        "select entity, key, label from crm.custom_field_definitions where org_id = %s"
    )


async def test_the_plan_says_that_among_many_records_only_what_is_spelled_alike_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins, "MOST", 3)

    whole = await bring(desk, FIXTURES / "hubspot", wanted=None)

    assert whole.twins_by == (
        "only those of the same address, or the same name and domain: there are more than 3 records"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Deal - ID,Deal - Titel,Deal - Wert,Deal - Status,Deal - Phase,Deal - Organisation,Deal - Verlustgrund\n"
        "1,Räder,12.50,Verloren,Angebot,Nord,Preis\n",
        "Negócio - ID,Negócio - Título,Negócio - Valor,Negócio - Status,Negócio - Etapa,Negócio - Organização,"
        "Negócio - Motivo da perda\n1,Räder,12.50,Perdido,Proposta,Nord,Preis\n",
        "Affaire - ID,Affaire - Titre,Affaire - Valeur,Affaire - Statut,Affaire - Étape,Affaire - Organisation,"
        "Affaire - Raison de la perte\n1,Räder,12.50,Perdu,Offre,Nord,Preis\n",
    ],
)
async def test_pipedrive_is_known_in_other_languages(desk: Desk, text: str) -> None:
    whole = await bring(desk, desk.write("deals.csv", text))

    assert rejected(whole) == []
    assert desk.ask(
        """select d.name, d.amount::text, d.status, d.lost_reason, o.name from crm.deals d join crm.organizations o
        on o.org_id = d.org_id and o.id = d.organization_id where d.org_id = %s"""
    ) == [("Räder", "12.5000", "lost", "Preis", "Nord")]
    assert desk.ask("select external_id from crm.external_refs where org_id = %s and entity = 'deals'") == [("1",)]


GERMAN_DEALS = (
    "Deal - Titel;Deal - Organisation;Deal - Wert;Deal - Status;Deal - Verlustgrund;Deal - Besitzer;Deal - Deal erstellt;"
    "Deal - Datum des verlorenen Deals;Deal - Phase;Deal - Zu erledigende Aktivitäten;Deal - Kontaktperson;Deal - ID;Deal - Label;"
    "Deal - Letzte Phasenänderung;Deal - Wahrscheinlichkeit;Deal - Zeit der Aktualisierung;Deal - Pipeline\n"
    "Räder;Nord GmbH;12,50;Verloren;Preis;;2026-01-05 08:00:00;2026-02-06 09:00:00;Angebot;0;;7;;;;2026-02-06 09:00:00;Vertrieb\n"
)
"""The columns that a public importer of the German Pipedrive's export of deals reads."""
GERMAN_PEOPLE = (
    "Person - Organisation;Person - Vorname;Person - Nachname;Person - Position;Person - E-Mail;Person - Telefon - Büro;"
    "Person - ID;Organisation - ID\nNord GmbH;Jan;van Dijk;Einkauf;jan@nord.example;030 1234567;71;81\n"
)
GERMAN_FIRMS = "Organisation - Name;Organisation - ID;Organisation - Adresse\nNord GmbH;81;Am Hafen 1\n"
GERMAN_LEADS = (
    "Lead-ID;Firma/Account;Vorname;Nachname;Lead-Quelle;Lead-Status;Lead-Inhaber;Erstelldatum;Letzte Aktivität;Zuletzt geändert am\n"
    "00Q000000000001;Süd AG;Ina;Beck;Messe;Working - Contacted;;05.01.2026;13.01.2026;14.01.2026\n"
)
GERMAN_OPPORTUNITIES = (
    "Opportunity-Name;Phase;Betrag;Betrag Währung;Wahrscheinlichkeit (%);Schlusstermin;Erstelldatum;Opportunity-Inhaber;Accountname;Lead-Quelle\n"
    "Dach;Proposal/Price Quote;1.234,50;EUR;60;31.12.2026;15.01.2026;;Süd AG;Messe\n"
    "Hof;Closed Won;99,00;EUR;100;31.03.2026;15.01.2026;;Süd AG;\n"
)
"""Labels that Salesforce writes in the language of who exports, as public importers of its German reports name them."""


async def test_a_german_pipedrive_comes_over_with_its_firms_and_people(desk: Desk) -> None:
    whole = await bring(
        desk,
        desk.write("organizations.csv", GERMAN_FIRMS),
        desk.write("people.csv", GERMAN_PEOPLE),
        desk.write("deals.csv", GERMAN_DEALS),
    )

    assert rejected(whole) == []
    assert desk.ask(
        """select d.name, d.amount::text, d.status, d.lost_reason, d.closed_at::date::text, o.name from crm.deals d
        join crm.organizations o on o.org_id = d.org_id and o.id = d.organization_id where d.org_id = %s"""
    ) == [("Räder", "12.5000", "lost", "Preis", "2026-02-06", "Nord GmbH")]
    assert desk.ask(
        """select t.name, t.title, t.email, t.phone, o.street from crm.contacts t
        join crm.organizations o on o.org_id = t.org_id and o.id = t.organization_id where t.org_id = %s"""
    ) == [("Jan van Dijk", "Einkauf", "jan@nord.example", "030 1234567", "Am Hafen 1")]


async def test_a_german_salesforce_comes_over(desk: Desk) -> None:
    whole = await bring(
        desk, desk.write("leads.csv", GERMAN_LEADS), desk.write("opportunities.csv", GERMAN_OPPORTUNITIES)
    )

    assert rejected(whole) == []
    assert desk.ask(
        """select d.name, d.amount::text, d.status, d.expected_close_on::text, d.probability::text, o.name from crm.deals d
        join crm.organizations o on o.org_id = d.org_id and o.id = d.organization_id where d.org_id = %s order by d.id"""
    ) == [
        ("Dach", "1234.5000", "open", "2026-12-31", "60.00", "Süd AG"),
        ("Hof", "99.0000", "won", "2026-03-31", "100.00", "Süd AG"),
    ]
    assert desk.ask("select status, source from crm.leads where org_id = %s") == [("contacted", "Messe")]
    assert desk.ask(
        """select (p.entered_at at time zone 'Europe/Berlin')::date::text from crm.pipeline_positions p where p.org_id = %s
        and p.closed_at is null order by 1"""
    ) == [("2026-01-14",), ("2026-01-15",)]


async def test_a_ticket_of_hubspot_names_its_company_by_the_tickets_own_columns(desk: Desk) -> None:
    text = (
        "Ticket ID,Ticket name,Ticket status,Ticket description,Priority,Create date,Close date,Primary Company ID,Primary Company Name\n"
        "9,Pump leaks,Waiting on contact,Since Monday,High,2026-03-04 10:00,,4711,Süd AG\n"
    )

    whole = await bring(desk, desk.write("tickets.csv", text))

    assert rejected(whole) == []
    assert desk.ask(
        """select i.title, i.status, i.priority, c.name from crm.issues i join crm.customers c on c.org_id = i.org_id
        and c.id = i.customer_id where i.org_id = %s"""
    ) == [("Pump leaks", "waiting", "high", "Süd AG")]


async def test_dates_that_may_be_read_two_ways_are_asked_for(desk: Desk) -> None:
    path = desk.write("o.csv", '"Opportunity Name","Stage","Close Date"\nA,New,7/4/2026\n')

    with pytest.raises(Refusal, match="AMBIGUOUS_DATES"):
        await bring(desk, path)


def test_a_file_of_no_known_system_is_refused_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("colour,shape\nred,round\n")

    with pytest.raises(Refusal, match="UNKNOWN_FILE"):
        plans([tmp_path])


@pytest.mark.parametrize(
    ("cell", "decimal", "amount"),
    [
        ("1,234.50", ".", "1234.50"),
        ("1.234,50", ".", "1234.50"),
        ("€ 1.234", ",", "1234"),
        ("USD 1,234", ".", "1234"),
        ("1234,5", ".", "1234.5"),
        ("12 500.75 €", ".", "12500.75"),
        ("1,234,567", ".", "1234567"),
    ],
)
def test_amounts_are_read_as_other_systems_write_them(cell: str, decimal: str, amount: str) -> None:
    how = How(ZoneInfo("Europe/Berlin"), decimal, loose=True)

    assert values.number(cell, how) == Decimal(amount)


@pytest.mark.parametrize(
    ("cell", "dates", "read"),
    [
        ("7/4/2026", "mdy", "2026-07-04T00:00"),
        ("7/4/2026", "dmy", "2026-04-07T00:00"),
        ("4.7.2026 14:05", "mdy", "2026-07-04T14:05"),
        ("9/14/2026, 12:05 AM", "mdy", "2026-09-14T00:05"),
        ("46207.5", "dmy", "2026-07-04T12:00"),
        ("2026-07-04 14:05", "mdy", "2026-07-04T14:05"),
    ],
)
def test_dates_are_read_as_other_systems_write_them(cell: str, dates: str, read: str) -> None:
    zone = ZoneInfo("Europe/Berlin")

    assert values.moment(cell, How(zone, dates=dates)) == datetime.fromisoformat(read).replace(tzinfo=zone)


def test_an_id_of_salesforce_of_15_characters_is_the_same_as_its_18() -> None:
    how = How(ZoneInfo("UTC"))

    assert foreign.long_id("001D000000IqhSL", how) == foreign.long_id("001D000000IqhSLIAZ", how)
    assert foreign.long_id("001D000000IqhSl", how) != foreign.long_id("001D000000IqhSL", how)
