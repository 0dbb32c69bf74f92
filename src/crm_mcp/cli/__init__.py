"""The command line but for `serve`: what a person types."""

import click

from .. import __version__
from . import (
    access,
    agent_runs,
    agents,
    doctor,
    exporting,
    importing,
    inspect,
    installing,
    keys,
    knowledge,
    local,
    orgs,
    passkeys,
    people,
    policy,
    recovery,
    registry,
    reports,
    runs,
    search_models,
    searching,
    usage,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="crm-mcp")
def main() -> None:
    """A CRM for AI agents. `crm-mcp serve --user EMAIL` serves it to an MCP client, `serve --http HOST:PORT` to many;
    `connect URL` bridges a client of stdio to such a server. See serve --help and connect --help."""


for command in (
    local.up,
    local.down,
    local.status,
    local.open_page,
    local.worker,
    local.demo,
    orgs.init,
    orgs.fiscal_year,
    people.users,
    orgs.migrate,
    keys.keys,
    importing.import_file,
    exporting.export_file,
    recovery.backup,
    recovery.restore,
    inspect.matrix,
    inspect.drafts,
    inspect.audit,
    policy.policy,
    reports.reports,
    registry.registry,
    usage.usage,
    knowledge.kb,
    searching.search,
    doctor.doctor,
    installing.install,
    agents.agents,
):
    main.add_command(command)
agents.agents.add_command(agent_runs.run_agents)
agents.agents.add_command(agent_runs.config)
agents.agents.add_command(runs.runs)
inspect.audit.add_command(access.access)
searching.search.add_command(search_models.models_)
people.users.add_command(passkeys.reset_passkeys)
inspect.audit.add_command(passkeys.signatures)
