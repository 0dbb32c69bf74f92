"""`crm-mcp install`."""

import json
from pathlib import Path

import click

from ...config import Settings
from ...principal import Agent
from ...remote.address import UrlInvalid, checked
from .clients import CLIENTS, Client, Scope, usual_file
from .entry import Wanted, with_entry, without_entry
from .jsontext import BadJson
from .placing import edited


@click.command()
@click.argument("client", type=click.Choice(sorted(CLIENTS)))
@click.option("--user", metavar="EMAIL", help="Who is served; leave it out with an API key.")
@click.option("--org", metavar="SLUG", help="Which org, for a person in several.")
@click.option("--agent", type=click.Choice([agent.value for agent in Agent]), help="Serve an agent of theirs.")
@click.option("--toolsets", metavar="A,B", help="Only these toolsets; core is a short list.")
@click.option("--read-only", is_flag=True, help="No tool that writes.")
@click.option(
    "--api-key", is_flag=True, help="Refer to CRM_API_KEY the client's own way; its value is never written."
)
@click.option(
    "--url", metavar="URL", help="Connect to a server over HTTP there, by an API key; no database is needed."
)
@click.option("--name", default="crm", show_default=True, help="The server's name in the client.")
@click.option("--scope", type=click.Choice(["project", "user"]), help="Whose configuration: this folder's, or yours.")
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="The client's file, if not the usual one."
)
@click.option("--print", "only_print", is_flag=True, help="Print what would be written, and change nothing.")
@click.option("--remove", is_flag=True, help="Take this server out again; others stay.")
def install(
    client: str,
    user: str | None,
    org: str | None,
    agent: str | None,
    toolsets: str | None,
    read_only: bool,
    api_key: bool,
    url: str | None,
    name: str,
    scope: Scope | None,
    config: Path | None,
    only_print: bool,
    remove: bool,
) -> None:
    """Add this server to a client's configuration file; a copy of the file is kept, everything else in it stays."""
    known, chosen = Settings(), CLIENTS[client]
    file = config or usual_file(client, scope or chosen.scope)
    if remove:
        _remove(chosen, file, name, known.home)
        return
    if url is not None:
        if user or org or agent or toolsets or read_only:
            raise click.UsageError("The server at --url decides what is served; give --url alone, or with --api-key.")
        wanted = _over_http(url, api_key)
    else:
        wanted = _wanted(known, user, org, agent, toolsets, read_only, api_key)
    snippet = json.dumps({chosen.key: {name: wanted.entry(chosen)}}, indent=2, ensure_ascii=False)
    if only_print:
        click.echo(f"To be put into {file}:", err=True)
        # Made as for a new file, so that inputs are shown and other people's secrets in the file are not.
        click.echo(with_entry("", chosen, name, wanted).rstrip("\n"))
        return
    try:
        kept = edited(file, lambda text: with_entry(text, chosen, name, wanted), known.home)
    except BadJson as problem:
        raise click.ClickException(
            f"{file}, {problem}. It was left as it is. Mend it and try again, or put this in by hand:\n{snippet}"
        ) from None
    if kept is None:
        click.echo(f"{file} has it already.")
        return
    click.echo(f"Wrote {name!r} into {file}." + _copy_kept(kept))
    if url is not None or not known.is_embedded or known.api_key is not None or api_key:
        click.echo(_key_hint(chosen, api_key, over_http=url is not None))
    click.echo(f"Restart {chosen.title} to see its tools.")


def _remove(client: Client, file: Path, name: str, home: Path) -> None:
    try:
        kept = edited(file, lambda text: without_entry(text, client, name), home) if file.exists() else None
    except BadJson as problem:
        raise click.ClickException(f"{file}, {problem}. It was left as it is.") from None
    click.echo(f"Took {name!r} out of {file}." + _copy_kept(kept) if kept else f"{file} does not have it.")


def _wanted(
    known: Settings,
    user: str | None,
    org: str | None,
    agent: str | None,
    toolsets: str | None,
    read_only: bool,
    api_key: bool,
) -> Wanted:
    """Check the choice as `serve` will, while the person can still change it."""
    by_key = api_key or not known.is_embedded
    if by_key and (user or org):
        raise click.UsageError("An API key says who is served; leave --user and --org out.")
    if not by_key and not user:
        raise click.UsageError("Give --user EMAIL, or --api-key.")
    options = {"--user": user, "--org": org, "--agent": agent, "--toolsets": toolsets}
    words = [word for option, value in options.items() if value for word in (option, value)]
    referred = ["CRM_API_KEY"] if api_key else []
    if api_key and not known.is_embedded:
        referred.append("CRM_DATABASE_URL")
    home = known.chosen_home
    return Wanted((*words, *(["--read-only"] if read_only else [])), home, tuple(referred))


def _over_http(url: str, api_key: bool) -> Wanted:
    """Check the URL as `connect` will."""
    try:
        return Wanted((checked(url),), referred=("CRM_API_KEY",) if api_key else (), command="connect")
    except UrlInvalid as problem:
        raise click.UsageError(str(problem)) from None


def _copy_kept(kept: Path) -> str:
    return f" As it was: {kept}." if kept.suffix == ".bak" else ""


def _key_hint(client: Client, api_key: bool, *, over_http: bool) -> str:
    if api_key and client.key == "servers":
        return "VS Code asks for the key once and keeps it among its secrets; it is not in the file."
    if over_http:
        return f"Set CRM_API_KEY to your key in the environment that {client.title} starts in; it is not in the file."
    return (
        f"Set CRM_API_KEY (crm-mcp keys create) and, for a real server, CRM_DATABASE_URL in the environment that "
        f"{client.title} starts in; neither is in the file."
    )
