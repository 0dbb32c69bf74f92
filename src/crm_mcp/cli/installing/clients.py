"""The clients: where each keeps its configuration on each system, and how it wants an entry written."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from ...config import claude_code_folder, local_folder, programs_folder

Scope = Literal["project", "user"]
_STORE_PACKAGE = "Claude_pzs8sxrjxfjjc"


@dataclass(frozen=True, slots=True)
class Client:
    """One client's habits.

    `reference` is how its file names a variable of its own environment or a secret that it asks for;
    None where it has no such thing.
    """

    name: str
    title: str
    key: str
    scope: Scope
    scopes: tuple[Scope, ...]
    comments: bool = False
    """Whether it reads comments and trailing commas."""
    typed: bool = False
    """Whether an entry says `"type": "stdio"`."""
    reference: str | None = None


CLIENTS = {
    client.name: client
    for client in (
        Client("claude-desktop", "Claude Desktop", "mcpServers", "user", ("user",)),
        Client("claude-code", "Claude Code", "mcpServers", "project", ("project", "user"), reference="${{{name}}}"),
        Client("cursor", "Cursor", "mcpServers", "user", ("project", "user"), reference="${{env:{name}}}"),
        Client(
            "vscode",
            "VS Code",
            "servers",
            "project",
            ("project", "user"),
            comments=True,
            typed=True,
            reference="${{input:{name}}}",
        ),
    )
}


def usual_file(client: str, scope: Scope, folder: Path | None = None) -> Path:
    """Return where a client keeps its configuration: in this folder for a project, else where this system keeps it.

    Raises:
        ClickException: the client has no configuration of that scope.
    """
    known = CLIENTS[client]
    if scope not in known.scopes:
        raise click.ClickException(f"{known.title} has no configuration of a {scope}; leave --scope out.")
    if scope == "project":
        inside = {"claude-code": ".mcp.json", "cursor": ".cursor/mcp.json", "vscode": ".vscode/mcp.json"}
        return (folder or Path.cwd()) / inside[client]
    match client:
        case "claude-code":
            return claude_code_folder() / ".claude.json"
        case "cursor":
            return Path.home() / ".cursor" / "mcp.json"
        case "vscode":
            return programs_folder() / "Code" / "User" / "mcp.json"
        case _:
            return _claude_desktop() / "claude_desktop_config.json"


def _claude_desktop() -> Path:
    """Return its folder; on Windows a copy from the Store sees a folder of its own in place of %APPDATA%."""
    if sys.platform == "win32":
        local = local_folder()
        package = local / "Packages" / _STORE_PACKAGE
        if package.is_dir():
            return package / "LocalCache" / "Roaming" / "Claude"
    return programs_folder() / "Claude"
