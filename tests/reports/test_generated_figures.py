"""Every report over orgs made by chance beside DuckDB's over the product's own export of them, to the cent.

CRM_FIGURES_SEED names the first org; the long form makes CRM_FIGURES_ORGS of them, else 48.
"""

import os
from asyncio import to_thread
from collections.abc import Callable, Generator
from datetime import date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
import pytest
from chance import FIRST, LAST, YEAR, Chance
from deciding import decide_some
from exported import taken_out
from figures import Engine, compare
from generated import Org
from meanings import MEANING

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.batch import batch
from crm_mcp.principal import Role
from crm_mcp.reports import definition
from homes import temporary_home

SEED = int(os.environ.get("CRM_FIGURES_SEED", "1"))
ORGS = int(os.environ.get("CRM_FIGURES_ORGS", "48"))


@pytest.fixture(scope="module")
def home() -> Generator[Home]:
    with temporary_home() as made:
        yield made


def found(home: Home, slug: str, chance: Chance) -> list[int]:
    """Make an org with a person of each role, two of one name, who may approve; return the people's ids."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        (org,) = conn.execute(
            "insert into crm.orgs(slug, name, base_currency, timezone) values (%s, %s, %s, %s) returning id",
            (slug, slug, chance.base, str(chance.zone)),
        ).fetchone() or (0,)
        people: list[int] = []
        for person in (*Role, "chief"):
            role = "admin" if person == "chief" else person
            (user,) = conn.execute(
                "insert into crm.users(email, name) values (%s, %s) returning id",
                (email(person, slug), "Alex" if person in ("sales", "support") else str(person).title()),
            ).fetchone() or (0,)
            people.append(user)
            conn.execute(
                """insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit)
                values (%s, %s, %s, true, 100000000)""",
                (org, user, role),
            )
    return people


def email(role: str, slug: str) -> str:
    return f"{role}@{slug}.example"


async def made(home: Home, approver: Database, seed: int) -> tuple[str, Chance]:
    slug, chance = f"chance{seed}", Chance(seed)
    people = found(home, slug, chance)
    who = await approver.sign_in(auth.by_email(email("admin", slug)))
    async with batch(approver, who, "chance", {"seed": seed}, "Make records by chance.") as session:
        await Org(session, who, chance, people).fill()
    return slug, chance


async def test_figures_over_orgs_of_chance_are_those_of_their_exports(
    home: Home, approver: Database, connect: Callable[..., Any], is_long: bool, tmp_path: Path
) -> None:
    wrong: list[str] = []
    for seed in range(SEED, SEED + (ORGS if is_long else 1)):
        began = perf_counter()
        slug, chance = await made(home, approver, seed)
        await decide_some(home, approver, connect, (email("admin", slug), email("chief", slug)), slug)
        folder = tmp_path / slug
        folder.mkdir()
        who = ("--user", email("admin", slug))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CRM_HOME", str(home.root))
            engine = await to_thread(taken_out, folder, who, str(chance.zone), chance.base, as_json=seed % 2 == 1)
        print(f"seed {seed}: {chance.zone}, {chance.base}")
        figures, differing = await differences(connect, engine, slug, chance)
        for one in differing:
            print(f"  {one}")
        print(f"  {figures} rows the same, {perf_counter() - began:.1f} s")
        wrong += [f"seed {seed}: {one}" for one in differing]
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"


async def differences(
    connect: Callable[..., Any], engine: Engine, slug: str, chance: Chance
) -> tuple[int, list[str]]:
    """Run every report as each role that may, for further periods as an administrator; return how many rows were the same,
    and which reports were not."""
    periods = ({"days": 0}, {"year": YEAR}, _days(FIRST, LAST), *_about(chance.turns[0]), *_about(chance.turns[-1]))
    same, wrong = 0, list[str]()
    for role in Role:
        async with connect(email(role, slug)) as client:
            for name in sorted(MEANING):
                report = definition.every()[name]
                if role not in report.roles:
                    continue
                asked = periods[: len(periods) if role is Role.ADMIN else 1]
                for period in asked if report.period else ({},):
                    try:
                        same += await compare(client, engine, name, period)
                    except AssertionError as problem:
                        wrong.append(str(problem))
    return same, wrong


def _about(turn: datetime) -> list[dict[str, str]]:
    """Return the days up to those on which the clocks change, and those from it."""
    before = turn.date() - timedelta(days=20), turn.date() - timedelta(days=1)
    return [_days(*before), _days(turn.date(), turn.date() + timedelta(days=20))]


def _days(since: date, until: date) -> dict[str, str]:
    return {"from": since.isoformat(), "to": until.isoformat()}
