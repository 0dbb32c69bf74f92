"""Write who the customers are, what is sold to them, and how it came through the pipelines."""

from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from ..crm.models import (
    Activity,
    Contact,
    CustomerParty,
    Deal,
    Individual,
    Job,
    Lead,
    Opportunity,
    Organization,
    Partnership,
    PipelinePosition,
    StageTransition,
)
from ..importing.rows import add
from . import selling
from .journeys import Journey
from .scene import SEED, Row, Scene

_STAGES = """select l.name, s.name, l.id, s.id from crm.pipelines l join crm.pipeline_stages s on s.org_id = l.org_id and s.pipeline_id = l.id
 where l.org_id = %s"""


class Parties(NamedTuple):
    """Ids by the places of customers: their contacts, and the organization that a company is."""

    contacts: list[list[int]]
    organizations: dict[int, int]


async def bring_in_parties(session: AsyncSession, org: int, what: Scene, customers: list[int]) -> Parties:
    """Write organizations, individuals and contacts of the customers."""
    chance = Random(SEED + 4)  # noqa: S311
    firms = [at for at, party in enumerate(what.parties) if party.customer["kind"] == "organization"]
    persons = [at for at, party in enumerate(what.parties) if party.customer["kind"] != "organization"]
    rows = [selling.organization(chance, what.parties[at]) for at in firms]
    made = await add(
        session, Organization, org, [{**row, "technologies": Jsonb(row["technologies"])} for row in rows]
    )
    organizations = dict(zip(firms, made, strict=True))
    made = await add(session, Individual, org, [selling.individual(what.parties[at]) for at in persons])
    individuals = dict(zip(persons, made, strict=True))
    of = [
        {"customer_id": customers[at], "organization_id": organizations.get(at), "individual_id": individuals.get(at)}
        for at in range(len(customers))
    ]
    await add(session, CustomerParty, org, of)
    numbers = await add(
        session,
        Contact,
        org,
        [{**contact, **of[at]} for at, party in enumerate(what.parties) for contact in party.contacts],
    )
    ends = list(accumulate(len(party.contacts) for party in what.parties))
    contacts = [numbers[end - len(party.contacts) : end] for end, party in zip(ends, what.parties, strict=True)]
    return Parties(contacts, organizations)


async def bring_in_sales(
    session: AsyncSession, org: int, what: Scene, customers: list[int], parties: Parties, sellers: list[int]
) -> None:
    """Write deals, leads, where they stand, and every move that brought them there."""
    known = what.selling
    owners = [sellers[at % len(sellers)] if sellers else None for at in range(len(customers))]
    deals = await add(
        session,
        Deal,
        org,
        [
            {
                **row,
                "customer_id": customers[customer],
                "contact_id": parties.contacts[customer][contact],
                "organization_id": parties.organizations.get(customer),
                "owner_id": owners[customer],
            }
            for customer, contact, row in known.deals
        ],
    )
    leads = await add(
        session,
        Lead,
        org,
        [
            {
                **row,
                "customer_id": None if customer is None else customers[customer],
                "organization_id": None if customer is None else parties.organizations.get(customer),
                "owner_id": None if customer is None else owners[customer],
            }
            for customer, row, _, _ in known.leads
        ],
    )
    for kind, model in (("opportunity", Opportunity), ("job", Job), ("partnership", Partnership)):
        rows = [
            {**part, "lead_id": lead}
            for lead, (_, _, which, part) in zip(leads, known.leads, strict=True)
            if which == kind
        ]
        await add(session, model, org, rows)
    await _write_ways(session, org, known.journeys, customers, deals, leads, owners)


async def _write_ways(
    session: AsyncSession,
    org: int,
    journeys: list[Journey],
    customers: list[int],
    deals: list[int],
    leads: list[int],
    owners: list[int | None],
) -> None:
    found = await (await session.connection()).exec_driver_sql(_STAGES, (org,))
    named: list[Any] = list(found.all())
    stages: dict[tuple[str, str], tuple[int, int]] = {(row[0], row[1]): (row[2], row[3]) for row in named}
    chance = Random(SEED + 5)  # noqa: S311
    places: list[Row] = []
    for way in journeys:
        pipeline, stage = stages[way.pipeline, way.stops[-1].stage]
        table, number = _subject(way, customers, deals, leads)
        places.append(
            {
                **way.place,
                **{name: Jsonb(way.place[name]) for name in ("factors", "reasons", "risk_factors")},
                "pipeline_id": pipeline,
                "stage_id": stage,
                "subject_type": table,
                "subject_id": number,
                "customer_id": None if way.customer is None else customers[way.customer],
                "entered_at": way.stops[-1].at,
                "owner_id": None if way.customer is None else owners[way.customer],
            }
        )
    positions = await add(session, PipelinePosition, org, places)
    moves: list[Row] = []
    for position, way in zip(positions, journeys, strict=True):
        before = [None, *way.stops[:-1]]
        for was, stop in zip(before, way.stops, strict=True):
            pipeline, stage = stages[way.pipeline, stop.stage]
            moves.append(
                {
                    "position_id": position,
                    "pipeline_id": pipeline,
                    "from_stage_id": None if was is None else stages[way.pipeline, was.stage][1],
                    "to_stage_id": stage,
                    "moved_at": stop.at,
                    "seconds_in_stage": None if was is None else int((stop.at - was.at).total_seconds()),
                    "explanation": selling.explanation_of(chance, stop.stage),
                    "criteria": Jsonb(selling.criteria_of(was.stage if was and stop.stage != "Lost" else None)),
                    "criteria_met": True,
                }
            )
    await add(session, StageTransition, org, moves)
    touches: list[Row] = []
    for way in journeys:
        table, number = _subject(way, customers, deals, leads)
        about = {
            "subject_type": table,
            "subject_id": number,
            "customer_id": None if way.customer is None else customers[way.customer],
        }
        touches += [{**touch, **about} for touch in way.touches]
    await add(session, Activity, org, touches)


def _subject(way: Journey, customers: list[int], deals: list[int], leads: list[int]) -> tuple[str, int]:
    if way.deal is not None:
        return "deals", deals[way.deal]
    if way.lead is not None:
        return "leads", leads[way.lead]
    assert way.customer is not None
    return "customers", customers[way.customer]
