"""`crm-mcp agents run` and `agents config`: our own agents from the command line."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ..agents.roster import ROSTER
from ..config import Settings
from ..db import Database
from ..invisible import is_invisible
from ..principal import Agent, Principal
from ..runs import names
from ..runs.opening import Opened, open_run
from .local import ensure_page
from .session import database, run, signed_in

if TYPE_CHECKING:
    from ..agents.journal import Event, Outcome
    from ..agents.plan import Sourced

EXTRA = "Our own agents need the extra [agents]: pip install 'crm-mcp-server[agents]'."
CODES: Mapping[str, int] = {
    "done": 0,
    "refused": 1,
    "no_key": 3,
    "model_away": 3,
    "bad_answer": 4,
    "over_budget": 5,
    "turn_limit": 6,
    "time_limit": 6,
    "cancelled": 130,
}
"""The exit code of each end."""
PAGES: Mapping[str, str] = {"cust": "customer", "ord": "order", "prod": "product"}
LONGEST = 20_000
WIDTH = 300
"""Characters of a line about a tool."""


@click.command("run")
@click.argument("request")
@click.option("--as", "user", metavar="EMAIL", help="For whom they work (embedded database); else CRM_API_KEY.")
@click.option("--org", metavar="SLUG", help="Which org, for a person in several.")
@click.option("--agent", type=click.Choice([agent.value for agent in ROSTER]), help="This one, without triage.")
@click.option("--about", metavar="ID", help="What 'this' is: cust_12, ord_1007 or prod_3.")
@click.option("--continue", "after", metavar="RUN", help="Go on with the conversation of this run, such as run_12.")
@click.option("--background", is_flag=True, help="Leave it to the worker; print the run's id at once.")
@click.option("--json", "as_json", is_flag=True, help="Each event as a line of JSON; the last is how it ended.")
def run_agents(
    request: str,
    user: str | None,
    org: str | None,
    agent: str | None,
    about: str | None,
    after: str | None,
    background: bool,
    as_json: bool,
) -> None:
    """Give a REQUEST to the agents: triage hands it to a specialist, who works with tools of its own.

    Whatever has consequences waits for a person; the end names it. Exits with 0 where it was done, 3 where no model
    answers, 4 where its answers cannot be used, 5 over a budget, 6 at a limit of turns or time, 130 where it was stopped.
    """
    if not request.strip():
        raise click.UsageError("Say what is to be done.")
    if len(request) > LONGEST:
        raise click.UsageError(f"A request has at most {LONGEST:,} characters.")
    asked = Asked(request, None if agent is None else Agent(agent), _page(about), after)
    if background:
        queued = run(_queue(asked, user, org))
        said = f"{queued} is queued. `crm-mcp agents runs watch {queued}` follows it; you are told when it is over."
        click.echo(json.dumps({"run": queued, "state": "queued"}) if as_json else said)
        return
    number, outcome = run(_run(asked, user, org, as_json))
    if not as_json:
        _tell_end(number, outcome)
    raise SystemExit(CODES[outcome.end])


class Asked(NamedTuple):
    """What a person gives to the agents: `page` is where they are, `after` the run whose conversation goes on."""

    request: str
    agent: Agent | None
    page: Mapping[str, str] | None
    after: str | None

    async def open(self, db: Database, who: Principal, *, in_background: bool) -> Opened:
        after = None if self.after is None else names.parse(self.after)
        carry = None if self.page is None else {"page": self.page}
        return await open_run(
            db, who, self.request, agent=self.agent, after=after, in_background=in_background, carry=carry
        )


async def _queue(asked: Asked, user: str | None, org: str | None) -> str:
    known = Settings()
    async with database(known, "crm_agent") as db:
        who = await signed_in(db, known, user, org)
        opened = await asked.open(db, who, in_background=True)
    if known.is_embedded:
        await asyncio.to_thread(ensure_page, known, user)
    return names.show(opened.run)


async def _run(asked: Asked, user: str | None, org: str | None, as_json: bool) -> "tuple[str, Outcome]":
    """Return what the run is called, and how it ended."""
    try:
        from ..agents.conducting import Conductor, settle
        from ..agents.meter import PostgresMeter
        from ..agents.providers import Providers
        from ..agents.servers import stdio
    except ImportError as problem:
        raise click.ClickException(EXTRA) from problem
    known = Settings()
    plan = _plan(known, None).plan
    async with database(known, "crm_agent") as db, Providers(plan, known) as providers:
        who = await signed_in(db, known, user, org)
        opened = await asked.open(db, who, in_background=False)
        assert opened.hold is not None
        number = names.show(opened.run)
        if not as_json:
            click.echo(number)
        meter = PostgresMeter(db, who)
        conductor = Conductor(plan, providers, meter, stdio(known, user, org), Printed(number, as_json))
        outcome = await conductor.conduct(opened.hold)
        await settle(opened.hold, outcome, retries=False)
        return number, outcome


def _page(about: str | None) -> Mapping[str, str] | None:
    if about is None:
        return None
    kind = PAGES.get(about.partition("_")[0])
    if kind is None:
        raise click.UsageError(
            "--about takes the id of a customer, an order or a product: cust_12, ord_1007, prod_3."
        )
    return {"route": f"/{kind}s/{about}", "entityType": kind, "entityId": about}


class Printed:
    """The journal of a run at a terminal: each event is printed as it comes."""

    def __init__(self, run: str, as_json: bool) -> None:
        self._run, self._as_json = run, as_json
        self._is_in_text = False

    async def event(self, event: "Event") -> None:
        if self._as_json:
            whose = {"run": self._run} if event.kind == "ended" else {}
            click.echo(json.dumps(event.body() | whose, ensure_ascii=False, default=str))
        else:
            self._print(event)

    async def step(self, point: object) -> None:
        """Keep nothing: the run lives and dies with this process."""

    async def is_cancelled(self) -> bool:
        return False

    def _print(self, event: "Event") -> None:
        about = event.about
        match event.kind:
            case "text":
                click.echo(visible(about["text"]), nl=False)
                self._is_in_text = True
            case "handoff":
                how = " (triage did not decide)" if about["is_fallback"] else ""
                self._line(f"→ {ROSTER[Agent(about['agent'])].title}{how}: {about['reason']}")
                if about["dropped"]:
                    self._line(f"  not found, left out: {', '.join(about['dropped'])}")
            case "tool":
                self._line(f"· {about['tool']} {json.dumps(about['arguments'], ensure_ascii=False, default=str)}")
            case "answered":
                self._line(f"  {'' if about['ok'] else 'refused: '}{about['said']}")
            case "degraded":
                self._line(f"! {about['part']}: {about['instead']}")
            case "again":
                self._line(f"! asked again: {about['why']}")
            case "warning":
                self._line(f"! {about['text']}")
            case _:
                pass

    def _line(self, text: str) -> None:
        if self._is_in_text:
            click.echo()
            self._is_in_text = False
        line = visible(text).replace("\n", " ")
        click.echo(line if len(line) <= WIDTH else line[:WIDTH] + "…")


def _tell_end(number: str, outcome: "Outcome") -> None:
    click.echo()
    if outcome.waiting:
        click.echo("Waits for approval by a person:")
        for one in outcome.waiting:
            click.echo(f"  {one.id}  {visible(one.summary)}")
            if one.url:
                click.echo(f"    {one.url}")
    click.echo(f"Models cost {outcome.spent:.4f} {outcome.currency}.")
    if outcome.end != "done":
        click.echo(f"Ended before it was done ({outcome.end}): {visible(outcome.why)}", err=True)
    if outcome.end == "model_away":
        click.echo(f"`crm-mcp agents runs resume {number}` goes on where it was.", err=True)


def visible(text: str) -> str:
    """Return a text that moves no cursor and hides nothing: what nobody would see is shown as �."""
    return "".join("�" if is_invisible(char) and char not in "\n\t" else char for char in text)


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def config(file: Path | None, as_json: bool) -> None:
    """Check agents.yaml (FILE, CRM_AGENTS, or in the home) and show what is in force."""
    known = Settings()
    sourced = _plan(known, file)
    plan = sourced.plan
    keys = {
        "anthropic": known.anthropic_key is not None,
        "openai-compatible": known.openai_compatible_key is not None,
    }
    if as_json:
        shown = {"file": None if sourced.file is None else str(sourced.file), **plan.model_dump(mode="json")}
        click.echo(json.dumps(shown | {"keys": keys}, ensure_ascii=False, indent=1))
        return
    click.echo(f"In force: {sourced.file or 'the packaged file'}; prices and budgets in {plan.currency}.")
    for name, provider in plan.providers.items():
        click.echo(f"{name}: {provider.base_url}, {'a key is set' if keys[name] else 'no key'}")
    click.echo(f"What triage cannot hand over goes to: {plan.fallback_agent}")
    rows = [("use case", "model", "in", "out", "turns", "seconds", "most out", "budget", "memory", "fallback")]
    rows += [
        (
            name,
            case.model,
            f"{case.price.input}",
            f"{case.price.output}",
            str(case.turns),
            f"{case.seconds:g}",
            str(case.max_output_tokens),
            "none" if case.budget is None else f"{case.budget}",
            "yes" if case.memory else "no",
            "none" if case.fallback is None else case.fallback.model,
        )
        for name, case in plan.use_cases.items()
    ]
    _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plan(known: Settings, file: Path | None) -> "Sourced":
    from ..agents.plan import PlanInvalid, load

    try:
        return load(file or known.agents, known.home)
    except PlanInvalid as problem:
        raise click.ClickException(str(problem)) from None
