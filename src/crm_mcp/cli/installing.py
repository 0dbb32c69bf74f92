"""Putting this server into a client's configuration, beside whatever is there."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click

from ..config import Settings, programs_folder
from ..jsonvalue import is_object
from ..serving import server_entry

KEYS = {"claude-desktop": "mcpServers", "cursor": "mcpServers", "claude-code": "mcpServers", "vscode": "servers"}


@click.command()
@click.argument("client", type=click.Choice(sorted(KEYS)))
@click.option("--user", required=True, metavar="EMAIL", help="Who is served.")
@click.option("--name", default="crm", show_default=True, help="The server's name in the client.")
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="The client's file, if not the usual one."
)
@click.option("--print", "only_print", is_flag=True, help="Print the entry and change nothing.")
def install(client: str, user: str, name: str, config: Path | None, only_print: bool) -> None:
    """Add this server to a client's configuration file; a copy of the file is kept, other servers stay."""
    entry = server_entry(user, Settings())
    if only_print:
        click.echo(json.dumps({KEYS[client]: {name: entry}}, indent=2))
        return
    file = config or usual_file(client)
    said = put(file, KEYS[client], name, entry)
    click.echo(said + (" Restart the client to see its tools." if "already" not in said else ""))


def usual_file(client: str) -> Path:
    """Return where a client keeps its configuration on this system; claude-code and vscode: in this folder."""
    match client:
        case "claude-code":
            return Path(".mcp.json")
        case "vscode":
            return Path(".vscode/mcp.json")
        case "cursor":
            return Path.home() / ".cursor" / "mcp.json"
        case _:
            pass
    return programs_folder() / "Claude" / "claude_desktop_config.json"


def put(file: Path, key: str, name: str, entry: dict[str, Any]) -> str:
    """Write the entry into the file, atomically, after keeping a copy of it; return what was done.

    Raises:
        ClickException: the file is not JSON of the expected form; it is left as it is.
    """
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        content: Any = json.loads(text) if text.strip() else {}
        servers: Any = content.setdefault(key, {})
        if not is_object(servers):
            raise ValueError
    except (ValueError, AttributeError):
        raise click.ClickException(
            f"{file} is not JSON of the form {{{key!r}: {{…}}}}; it was left as it is."
        ) from None
    if servers.get(name) == entry:
        return f"{file} has it already."
    servers[name] = entry
    file.parent.mkdir(parents=True, exist_ok=True)
    if text:
        shutil.copy2(file, file.with_name(file.name + ".before-crm-mcp"))
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(fresh, file)
    return f"Wrote {name!r} into {file}."
