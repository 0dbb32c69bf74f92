"""`crm-mcp usage`: what models were used for, what is left of the day, and the budgets that an administrator sets."""

import json
from decimal import Decimal
from typing import Any

import click
import psycopg

from ..agents.usage import Usage
from ..agents.usage import usage as asked_usage
from ..budgets import moment, percent
from ..config import Settings
from ..money import said
from ..principal import Principal
from .inputs import LIMIT, meant, shown
from .keeping import done_by
from .session import database, owner, run, signed_in

_MEMBER = """select u.id, u.email from crm.memberships m join crm.users u on u.id = m.user_id
 where m.org_id = %s and u.email_norm = %s and m.active"""
_SET = """insert into crm.budgets(org_id, scope, user_id, tokens, money, warn_at) values (%s, %s, %s, %s, %s, %s)
 on conflict (org_id, scope, user_id) do update set tokens = coalesce(excluded.tokens, budgets.tokens),
  money = coalesce(excluded.money, budgets.money), warn_at = coalesce(excluded.warn_at, budgets.warn_at)"""
_STANDARD = "delete from crm.budgets where org_id = %s and scope = %s and user_id = %s"
_RESET = """update crm.budget_days set forgiven_tokens = tokens, forgiven_money = money
 where org_id = %s and user_id = %s and day = (clock_timestamp() at time zone 'UTC')::date"""
_LIMITS = "select l.tokens, l.money, o.base_currency from crm.budget_limits(%s, %s) l, crm.orgs o where o.id = %s and l.scope = %s"
_COLUMNS = ("day", "person", "agent", "useCase", "model", "calls", "tokensIn", "tokensOut", "money")
_HEADS = ("day", "person", "agent", "use case", "model", "calls", "tokens in", "tokens out", "money")
Connection = psycopg.Connection[Any]


@click.group(invoke_without_command=True)
@click.option(
    "--user", metavar="EMAIL", help="As whom, else CRM_API_KEY says who; an administrator sees everybody's."
)
@click.option("--org", metavar="SLUG")
@click.option("--days", type=click.IntRange(1, 730), default=7, show_default=True, help="UTC, today the last.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def usage(ctx: click.Context, user: str | None, org: str | None, days: int, as_json: bool) -> None:
    """Show what models were used for: limits and what is left of today, then each day by person, agent, use and model."""
    if ctx.invoked_subcommand is not None:
        if user or org or as_json:
            raise click.UsageError(f"Give the options after the word {ctx.invoked_subcommand}.")
        return

    async def read() -> tuple[Principal, Usage]:
        known = Settings()
        async with database(known, "crm_agent") as db:
            who = await signed_in(db, known, user, org)
            return who, await asked_usage(db, who, days)

    who, found = run(read())
    if as_json:
        click.echo(json.dumps(_document(who, found), ensure_ascii=False, indent=1))
    else:
        _print(who, found, days)


def _document(who: Principal, found: Usage) -> dict[str, Any]:
    limits = [
        {
            "scope": row["scope"],
            "person": row.get("person"),
            "tokens": _measured(row, "tokens"),
            "money": _measured(row, "money") if row["moneyLimit"] is not None else None,
            "resetsAt": row["resetsAt"],
        }
        for row in found.standing
    ]
    return {
        "org": who.org_slug,
        "currency": who.currency,
        "tokensPerRequest": found.request,
        "limits": limits,
        "usage": found.rows,
    }


def _measured(row: dict[str, Any], unit: str) -> dict[str, Any]:
    limit, spent, held = (row[f"{unit}{what}"] for what in ("Limit", "Spent", "Held"))
    left = max(Decimal(0), Decimal(limit) - Decimal(spent) - Decimal(held))
    return {
        "limit": limit,
        "spent": spent,
        "held": held,
        "left": int(left) if unit == "tokens" else f"{left:f}",
        "percent": percent(spent, limit),
    }


def _print(who: Principal, found: Usage, days: int) -> None:
    resets = found.standing[0]["resetsAt"]
    click.echo(f"{who.org_name} ({who.org_slug}). Today's budgets reset at {moment(resets)}; one request may use")
    click.echo(f"{found.request:,} tokens.\n")
    for row in found.standing:
        whose = row.get("person") or "the org"
        tokens = f"{row['tokensSpent']:>10,} of {row['tokensLimit']:,} tokens"
        held = f", {row['tokensHeld']:,} held" if row["tokensHeld"] else ""
        line = f"{whose:28} {tokens} ({percent(row['tokensSpent'], row['tokensLimit'])} %{held})"
        cost = Decimal(row["moneySpent"])
        if row["moneyLimit"] is not None:
            limit = Decimal(row["moneyLimit"])
            line += f", {said(cost, who.currency)} of {said(limit, who.currency)} ({percent(cost, limit)} %)"
        elif cost:
            line += f", {said(cost, who.currency)}"
        click.echo(line)
    click.echo("")
    if not found.rows:
        click.echo(f"No model was used in {f'{days} days' if days > 1 else 'the day'}.")
        return
    cells = [tuple(_cell(row, name) for name in _COLUMNS) for row in found.rows]
    widths = [max(len(row[at]) for row in [_HEADS, *cells]) for at in range(len(_HEADS))]
    for row in [_HEADS, *cells]:
        texts = (
            text.rjust(width) if at >= 5 else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join(texts).rstrip())


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return "-"
    if name == "money":
        return f"{Decimal(value):,.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _whose(command: Any) -> Any:
    """Add the options that say whose budget is meant, and who means it."""
    for option in (
        click.option("--user", metavar="EMAIL", help="A person's; else the org's."),
        click.option("--by", required=True, metavar="EMAIL", help="Who does it: an administrator of the org."),
        click.option("--org", required=True, metavar="SLUG"),
    ):
        command = option(command)
    return command


@usage.command("set")
@_whose
@click.option("--everybody", is_flag=True, help="Each person's who has none of their own.")
@click.option("--request", "request", is_flag=True, help="Each request's.")
@click.option("--tokens", type=click.IntRange(0, 10**12), help="In and out together, a day or a request.")
@click.option("--money", type=LIMIT, help="The same in the org's base currency.")
@click.option("--warn-at", type=click.IntRange(1, 100), metavar="PERCENT", help="From where to warn; 80 unless set.")
@click.option("--standard", is_flag=True, help="Back to the standard, before what else is given.")
def set_(
    org: str, by: str, user: str | None, everybody: bool, request: bool, tokens: int | None, money: Decimal | None,
    warn_at: int | None, standard: bool,
) -> None:  # fmt: skip
    """Set what may be spent on models; the next call has it."""
    if (user is not None) + everybody + request > 1:
        raise click.UsageError("Give one of --user, --everybody and --request, or none for the org's.")
    if tokens is None and money is None and warn_at is None and not standard:
        raise click.UsageError("Say what to set: --tokens, --money, --warn-at or --standard.")
    scope = "request" if request else "user" if everybody or user is not None else "org"
    asked = {"scope": scope, "user": user, "tokens": tokens, "money": money and str(money), "warnAt": warn_at}
    given = {name: value for name, value in asked.items() if value is not None} | (
        {"standard": True} if standard else {}
    )
    with owner(Settings()) as conn, done_by(conn, org, by, "usage_set", given) as (found, _):
        whose, called = _member(conn, found, org, user)
        if standard:
            conn.execute(_STANDARD, (found, scope, whose))
        if tokens is not None or money is not None or warn_at is not None:
            share = None if warn_at is None else Decimal(warn_at) / 100
            conn.execute(_SET, (found, scope, whose, tokens, money, share))
        row = conn.execute(_LIMITS, (found, whose, found, scope)).fetchone()
    assert row is not None
    what = called or {"request": "Each request", "user": "Each person", "org": org}[scope]
    most = f"{row[0]:,} tokens" + (f" and {said(row[1], row[2])}" if row[1] is not None else "")
    click.echo(f"{what} may use {most}{'' if scope == 'request' else ' a day'}.")


@usage.command()
@_whose
def reset(org: str, by: str, user: str | None) -> None:
    """Forgive what was spent today: a person's with --user, else the org's own count. Reports keep it."""
    given = {} if user is None else {"user": user}
    with owner(Settings()) as conn, done_by(conn, org, by, "usage_reset", given) as (found, _):
        whose, called = _member(conn, found, org, user)
        spent = conn.execute(_RESET, (found, whose)).rowcount
    click.echo(f"{called or org} may spend the whole budget again." if spent else "Nothing was spent today.")


def _member(conn: Connection, org: int, slug: str, email: str | None) -> tuple[int, str | None]:
    """Return whose a budget is, and how they are called; 0 where nobody is named."""
    if email is None:
        return 0, None
    row = conn.execute(_MEMBER, (org, meant(email))).fetchone()
    if row is None:
        raise click.ClickException(f"{shown(email)} is no member of {slug}.")
    return row[0], row[1]
