"""The entry of this server in a client's file: what it holds, how it gets in, and which entries are ours."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import click

from ...jsonvalue import is_array, is_object
from ...reaching import server_entry
from .clients import Client
from .editing import append, drop, put
from .jsontext import Node, parse

OURS = ("CRM_HOME", "CRM_API_KEY", "CRM_DATABASE_URL")
"""Variables that an installation sets or takes back; others in an entry are the user's."""
_INPUT = {"CRM_API_KEY": "crm-api-key", "CRM_DATABASE_URL": "crm-database-url"}
_ASKS = {
    "crm-api-key": "API key of crm-mcp (crm-mcp keys create)",
    "crm-database-url": "Database URL of crm-mcp, login crm_agent",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for: the words behind a command, the home if one was chosen, variables by reference."""

    words: tuple[str, ...]
    home: str | None = None
    referred: tuple[str, ...] = ()
    command: str = "serve"
    """Or `connect`, to a server over HTTP."""

    def entry(self, client: Client) -> dict[str, Any]:
        """Return the entry as the client wants it."""
        made: dict[str, Any] = {"type": "stdio"} if client.typed else {}
        made |= server_entry(self.words, self.home, self.command)
        env: dict[str, str] = made.pop("env", {})
        for name in self.referred:
            if client.reference is None:
                raise click.ClickException(
                    f"{client.title} cannot refer to a secret, and none is written into its file. Serve a person "
                    f"with --user, or set {name} in the environment that starts it."
                )
            env[name] = client.reference.format(name=_INPUT[name] if client.key == "servers" else name)
        return made | ({"env": env} if env else {})


def is_ours(entry: object) -> bool:
    """Say whether an entry starts this program, of whatever installation."""
    if not is_object(entry):
        return False
    args = entry.get("args")
    words = [str(word) for word in args] if is_array(args) else []
    program = re.split(r"[\\/]", str(entry.get("command", "")))[-1].removesuffix(".exe")
    return ("serve" in words or "connect" in words) and (program == "crm-mcp" or "crm_mcp" in words)


def with_entry(text: str, client: Client, name: str, wanted: Wanted) -> str:
    """Return the client's text with the entry; what the user added to an entry of ours stays.

    Raises:
        BadJson: the text is not what the client reads.
        ClickException: the name is taken by another server.
    """
    fresh, before = wanted.entry(client), _found(text, client, name)
    if before is None:
        text = put(text, (client.key, name), fresh, comments=client.comments)
    else:
        text = _brought_up(text, client, name, fresh, _checked(before, name))
    return _with_inputs(text, client, wanted)


def without_entry(text: str, client: Client, name: str) -> str:
    """Return the client's text without our entry and without inputs that only it used.

    Raises:
        BadJson: the text is not what the client reads.
        ClickException: an entry of that name is not ours.
    """
    before = _found(text, client, name)
    if before is None:
        return text
    _checked(before, name)
    text = drop(text, (client.key, name), comments=client.comments)
    return _without_inputs(text, client) if client.key == "servers" else text


def _brought_up(text: str, client: Client, name: str, fresh: dict[str, Any], before: dict[str, Any]) -> str:
    """Change what differs in an entry of ours, and no more."""
    for key, value in fresh.items():
        if key != "env":
            text = put(text, (client.key, name, key), value, comments=client.comments)
    env: dict[str, Any] = fresh.get("env", {})
    for key, value in env.items():
        text = put(text, (client.key, name, "env", key), value, comments=client.comments)
    for key in OURS:
        if key not in env:
            text = drop(text, (client.key, name, "env", key), comments=client.comments)
    if before.get("env") and _found(text, client, name)["env"] == {}:
        text = drop(text, (client.key, name, "env"), comments=client.comments)
    return text


def _with_inputs(text: str, client: Client, wanted: Wanted) -> str:
    if client.key != "servers":
        return text
    known = [one.get("id") for one in _inputs(text, client) if is_object(one)]
    for variable in wanted.referred:
        if (name := _INPUT[variable]) not in known:
            asked = {"type": "promptString", "id": name, "description": _ASKS[name], "password": True}
            text = append(text, ("inputs",), asked, comments=client.comments)
    return text


def _without_inputs(text: str, client: Client) -> str:
    for name in _ASKS:
        places = [i for i, one in enumerate(_inputs(text, client)) if is_object(one) and one.get("id") == name]
        if places and f"${{input:{name}}}" not in text:
            text = drop(text, ("inputs", places[-1]), comments=client.comments)
            if not _inputs(text, client):
                text = drop(text, ("inputs",), comments=client.comments)
    return text


def _inputs(text: str, client: Client) -> list[Any]:
    found = _root(text, client).plain.get("inputs", [])
    return list(found) if is_array(found) else []


def _root(text: str, client: Client) -> Node:
    return parse(text if text.strip() else "{}", comments=client.comments)


def _found(text: str, client: Client, name: str) -> Any:
    root = _root(text, client).plain
    servers = root.get(client.key) if is_object(root) else None
    return servers.get(name) if is_object(servers) else None


def _checked(entry: Any, name: str) -> dict[str, Any]:
    if not is_ours(entry):
        raise click.ClickException(f"There is another server named {name!r} already; choose a --name for this one.")
    return entry


def interpreter(entry: object) -> PurePath | None:
    """Return the program that an entry of ours starts."""
    return PurePath(str(entry.get("command", ""))) if is_object(entry) and is_ours(entry) else None
