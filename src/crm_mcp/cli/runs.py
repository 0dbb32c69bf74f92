"""`crm-mcp agents runs`: a person's own runs of our agents, in the background and at terminals."""

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import click

from ..config import Settings
from ..db import Database
from ..principal import Principal
from ..runs import names, opening
from ..runs.following import OVER, follow
from ..runs.redacting import tools_of
from .agent_runs import visible
from .local import ensure_page
from .session import database, listed, run, signed_in

_WIDTH = 60
_ANSWER = 300
Work = Callable[[Database, Principal], Coroutine[Any, Any, Any]]


def _whose(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--org", metavar="SLUG", help="Which org, for a person in several."),
        click.option("--as", "user", metavar="EMAIL", help="Whose runs (embedded database); else CRM_API_KEY."),
    ):
        command = option(command)
    return command


def _json(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--json", "as_json", is_flag=True)(command)


@click.group()
def runs() -> None:
    """What agents do, or did, for you: nobody else sees your runs, and they are kept for 30 days."""


@runs.command("list")
@_whose
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--all", "everybodys", is_flag=True, help="For administrators: state and cost of everybody's.")
@_json
def list_runs(user: str | None, org: str | None, limit: int, everybodys: bool, as_json: bool) -> None:
    """List your runs, the newest first."""
    ask = opening.runs_of_all if everybodys else opening.runs
    found = _as(user, org, lambda db, who: ask(db, who, limit))
    listed([_named(one) for one in found], as_json, _line, "No agent has done anything for you yet.")


@runs.command()
@click.argument("which", metavar="RUN")
@_whose
@_json
def show(which: str, user: str | None, org: str | None, as_json: bool) -> None:
    """Show a run: what was asked, what was called and answered, what waits."""
    number = _number(which)

    async def both(db: Database, who: Principal) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        return await opening.run(db, who, number), await opening.said_in(db, who, number)

    found, items = _as(user, org, both)
    if as_json:
        click.echo(json.dumps(_named(found) | {"messages": items}, ensure_ascii=False, indent=1))
        return
    click.echo(_line(_named(found)))
    click.echo(f"asked: {visible(found['asked'])}")
    for item in items:
        for line in _said(item):
            click.echo(f"  {item['agent']}: {visible(line)}")
    if found.get("result"):
        click.echo(f"answer: {visible(found['result'])}")
    click.echo(f"models: {found['tokensIn']:,} tokens in, {found['tokensOut']:,} out")


@runs.command()
@click.argument("which", metavar="RUN")
@_whose
@_json
def watch(which: str, user: str | None, org: str | None, as_json: bool) -> None:
    """Follow a run until it is over; exits with 0 where it finished."""
    number = _number(which)

    async def watching(db: Database, who: Principal) -> str:
        state = ""
        async for now in follow(db, who, number):
            state = now["state"]
            click.echo(json.dumps(_named(now), ensure_ascii=False) if as_json else _line(_named(now)))
        return state

    state = _as(user, org, watching)
    raise SystemExit(0 if state == "finished" else 1)


@runs.command()
@click.argument("which", metavar="RUN")
@_whose
@_json
def cancel(which: str, user: str | None, org: str | None, as_json: bool) -> None:
    """End a run by its next step. What it did stands, and what it left waiting waits."""
    number = _number(which)
    state = _as(user, org, lambda db, who: opening.cancel(db, who, number))
    name = names.show(number)
    said = {
        "cancelled": f"{name} is cancelled.",
        "cancelling": f"{name} ends with the step it is at; `crm-mcp agents runs watch {name}` shows how.",
    }.get(state, f"{name} is over already: {state}.")
    click.echo(json.dumps({"run": name, "state": state}) if as_json else said)


@runs.command()
@click.argument("which", metavar="RUN")
@_whose
@_json
def resume(which: str, user: str | None, org: str | None, as_json: bool) -> None:
    """Take up a run that failed, was cancelled or was interrupted, at its last finished step, in the background."""
    number, known = _number(which), Settings()
    _as(user, org, lambda db, who: opening.resume(db, who, number))
    if known.is_embedded:
        ensure_page(known, user)
    name = names.show(number)
    click.echo(json.dumps({"run": name, "state": "queued"}) if as_json else f"{name} is queued again.")


def _as(user: str | None, org: str | None, work: Work) -> Any:
    """Do something as the person who asks."""

    async def worked() -> Any:
        known = Settings()
        async with database(known, "crm_agent") as db:
            return await work(db, await signed_in(db, known, user, org))

    return run(worked())


def _number(which: str) -> int:
    try:
        return names.parse(which)
    except names.RunNotFound as no:
        raise click.ClickException(no.hint) from None


def _named(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "run": names.show(one["run"])}


def _line(one: dict[str, Any]) -> str:
    progress = one["progress"]
    agent = one.get("currentAgent") or one.get("agent") or "triage"
    parts = [f"{one['run']}  {one['state']:<9}  {agent:<9}  {progress['done']} steps"]
    if one.get("cancelRequested"):
        parts.append("to be cancelled")
    if progress.get("message"):
        parts.append(visible(progress["message"]))
    if one["state"] in OVER and one.get("title"):
        parts.append(visible(one["title"])[:_WIDTH])
    if one.get("person"):
        parts.append(f"{one['person']}  {one['tokensIn'] + one['tokensOut']:,} tokens")
    return "  ".join(parts)


def _said(item: Mapping[str, Any]) -> list[str]:
    content = item["content"]
    said = [f"called {name}" for name in tools_of([content])]
    texts = [part["content"] for part in content["parts"] if part.get("part_kind") == "text"]
    return [*said, *(text if len(text) <= _ANSWER else text[:_ANSWER] + "…" for text in texts)]
