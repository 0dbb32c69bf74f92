"""`crm-mcp agents`: this server's agents for the Agent SDK and Claude Code."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from ..agents.asking import Ask
from ..agents.files import MARK, Definition
from ..agents.roster import ROSTER
from ..agents.skill_files import SkillFile
from ..catalog import Catalog, Narrowing
from ..config import Settings
from ..policy_document import IN_FORCE, Policy
from ..principal import Agent, Principal
from ..reaching import server_entry
from ..skills import skill
from .installing.clients import CLIENTS
from .installing.entry import Wanted, with_entry
from .installing.jsontext import BadJson
from .installing.placing import edited
from .session import database, run, signed_in

CLIENT = CLIENTS["claude-code"]
"""Whose file names the servers; the Agent SDK reads the same."""


@click.group()
def agents() -> None:
    """Agents that use this server with rights of their own. `agents hook` is what their files call."""


@agents.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--user", metavar="EMAIL", help="For whom the agents act (embedded database); else CRM_API_KEY.")
@click.option("--org", metavar="SLUG", help="Which org, for a person in several.")
@click.option(
    "--agent", "chosen", multiple=True, type=click.Choice([agent.value for agent in ROSTER]), help="Only this."
)
@click.option("--model", default="inherit", show_default=True, help="What the client runs them with.")
@click.option(
    "--ask",
    type=click.Choice([ask.value for ask in Ask]),
    default=Ask.DESTRUCTIVE.value,
    show_default=True,
    help="Before which calls the client asks; never suits agents that run alone. The server holds calls in any case.",
)
def export(folder: Path, user: str | None, org: str | None, chosen: Sequence[str], model: str, ask: str) -> None:
    """Write .claude/agents/*.md, .claude/skills/*/SKILL.md and .mcp.json into FOLDER (the current one).

    An agent a file, with what it may call; a skill a file, with the limits of the policy in force.
    """
    known = Settings()
    who, policy = run(_signed_in(known, user, org))
    words = tuple(word for option, value in (("--user", user), ("--org", org)) if value for word in (option, value))
    made = [
        Definition(
            agent,
            [tool["name"] for tool in tools],
            [tool["name"] for tool in tools if not tool["annotations"]["readOnlyHint"]],
            _hook(known, agent, words, ask),
            model,
        )
        for agent in (map(Agent, chosen) if chosen else ROSTER)
        if (tools := Catalog(Narrowing(usual=True)).visible_to(replace(who, agent=agent)))
    ]
    acting = {one.agent: replace(who, agent=one.agent) for one in made}
    learnt = [
        SkillFile(known_skill, policy, one)
        for agent, one in acting.items()
        for known_skill in skill.visible_to(one, Catalog())
        if known_skill.agent is agent
    ]
    _check(folder, [*made, *learnt])
    for one in made:
        edited(folder / one.file, lambda _, one=one: one.text(), known.home)
        click.echo(f"{one.file}: {len(one.tools)} tools")
    for one in learnt:
        edited(folder / one.file, lambda _, one=one: one.text(), known.home)
        click.echo(f"{one.file}: {len(one.skill.capabilities)} tools")
    try:
        edited(folder / ".mcp.json", lambda text: _with_servers(text, made, words, known), known.home)
    except BadJson as problem:
        raise click.ClickException(f"{folder / '.mcp.json'}, {problem}. It was left as it is.") from None
    click.echo(f".mcp.json: {', '.join(one.name for one in made)}")
    if known.api_key is not None:
        click.echo("Set CRM_API_KEY in the environment that the client starts in; it is not in the files.")


async def _signed_in(known: Settings, user: str | None, org: str | None) -> tuple[Principal, Policy]:
    async with database(known, "crm_agent") as db:
        who = await signed_in(db, known, user, org)
        policy = Policy.in_force(await db.definer(who.org, IN_FORCE, (who.org,)))
    if who.agent is not None:
        raise click.ClickException("This key is for one agent already: use a key of the person's without one.")
    return who, policy


def _hook(known: Settings, agent: Agent, words: Sequence[str], ask: str) -> list[str]:
    """Return the hook's command: this installation, and the home only where one was chosen."""
    asked = ["hook", "--agent", agent.value, "--server", f"crm-{agent.value}", "--ask", ask, *words]
    entry = server_entry(asked, known.chosen_home, "agents")
    home = [f"{name}={value}" for name, value in entry.get("env", {}).items()]
    return [*(["env", *home] if home else []), entry["command"], *entry["args"]]


def _with_servers(text: str, made: Sequence[Definition], words: tuple[str, ...], known: Settings) -> str:
    referred = () if known.api_key is None else ("CRM_API_KEY",)
    if referred and not known.is_embedded:
        referred = (*referred, "CRM_DATABASE_URL")
    for one in made:
        wanted = Wanted((*words, "--agent", one.agent.value), known.chosen_home, referred)
        text = with_entry(text, CLIENT, one.name, wanted)
    return text


def _check(folder: Path, made: Sequence[Definition | SkillFile]) -> None:
    """Refuse before anything is written where a file of somebody else's would go."""
    taken = [
        one.file
        for one in made
        if (folder / one.file).exists()
        and MARK not in (folder / one.file).read_text(encoding="utf-8", errors="replace")
    ]
    if taken:
        raise click.ClickException(f"{', '.join(taken)} is not of crm-mcp: move it away first.")
