"""Settings from the environment (CRM_*); with `__main__` the only reader of it."""

import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What can be set; every name is CRM_ and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CRM_", extra="ignore")

    home: Path = Field(default_factory=lambda: user_data_path("crm-mcp", appauthor=False))
    """Where the embedded database and its secrets live."""
    database_url: SecretStr | None = None
    """A real server, as the login crm_agent; unset: the embedded database."""
    api_key: SecretStr | None = None
    """Who is served: a key made by `crm-mcp keys create`. The only way in on a real server."""
    approver_url: SecretStr | None = None
    """The same server as crm_approver, for `up`, `open` and `import`."""
    owner_url: SecretStr | None = None
    """The same server as crm_owner, for `migrate` and `init`."""
    worker_url: SecretStr | None = None
    """The same server as crm_worker, for `worker`."""
    query_url: SecretStr | None = None
    """The same server as crm_query, for `serve`: free-form SQL; unset: there is none."""
    redis_url: SecretStr | None = None
    """Redis or Valkey, for `serve`: redis://, rediss:// (TLS) or unix://; unset: what it would keep is in Postgres."""
    reports: Path | None = None
    """A folder of an org's own reports, for `serve`; unset: reports in the home of the embedded database, if there."""
    approvals_url: str | None = None
    """Where people reach the approvals page, if not where `up` listens."""
    tls_cert: Path | None = None
    """The certificate with its chain, in PEM, that `up` serves the page with; unset: a proxy does that, or nobody."""
    tls_key: Path | None = None
    """The key of that certificate, in PEM, without a password."""
    smtp_url: SecretStr | None = None
    """The mail server, for `worker`, the page and invitations: smtp://user:password@host:587 or
    smtps://…; unset: e-mails stay unsent."""
    notice_from: str | None = None
    """The address that notices to approvers come from; unset: each org's own sender."""
    notice_webhook: SecretStr | None = None
    """Where `worker` posts what waits for approval: https://…, or http:// on this machine; Slack's will do."""
    notice_secret: SecretStr | None = None
    """The key that these posts are signed with, for receivers that check it."""
    notice_decided: bool = False
    """Whether requesters are written to when their draft is decided; the chat tells them anyway."""
    audit_reads: Literal["batch", "sync"] = "batch"
    """Whether a read waits until its last audit row is on disk."""
    audit_sink: Path | None = None
    """A file outside the database to which sealed audit heads are appended."""
    agents: Path | None = None
    """What our own agents run with, for `agents run`; unset: agents.yaml in the home, if there, else the packaged one."""
    anthropic_key: SecretStr | None = None
    """The key of the provider anthropic in that file."""
    openai_compatible_key: SecretStr | None = None
    """The key of the provider openai-compatible in that file; a model on this machine may need none."""
    pg_bin: Path | None = None
    """Another build of Postgres for the embedded database: its bin folder."""
    idle: float = 60.0
    """Seconds after the last client until the embedded database stops."""
    open_browser: Literal["first", "never"] = "first"
    """Whether `serve` opens the approvals page when something waits for the first time."""
    doorbell: Literal["draft", "never"] = "draft"
    """Whether a client that can open pages is asked to open each new draft's."""
    calls_per_minute: int = Field(default=600, ge=1)
    """Calls of one person over every transport and process."""
    agent_calls_per_minute: int = Field(default=300, ge=1)
    """Calls of one agent that acts for a person; never more than a person's."""
    embedder: str = "ngrams-1"
    """What compares texts until the database says which model is live: ngrams-1 (by spelling), fastembed:MODEL (by meaning,
    on this machine; the extra `semantic`), openai:MODEL (an endpoint that is compatible with OpenAI's)."""
    embedder_path: Path | None = None
    """A folder of weights for fastembed, or of such folders, each named as its model; unset: they are downloaded."""
    embedder_url: SecretStr | None = None
    """The endpoint of openai:MODEL: https://…/v1, or http:// on this machine or where no key is sent."""
    embedder_key: SecretStr | None = None
    """Its key, sent as Authorization: Bearer."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @cached_property
    def is_embedded(self) -> bool:
        return self.database_url is None

    @property
    def chosen_home(self) -> str | None:
        """The home where it was chosen, so that who is started elsewhere must be told it."""
        return str(self.home.absolute()) if "home" in self.model_fields_set else None


def has_desktop() -> bool:
    """Say whether a browser could be shown here."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def environment_with(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment for a program that it starts, and what else that one needs."""
    return {**os.environ, **more}


def programs_folder() -> Path:
    """Return where the programs of this person keep their settings."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")


def local_folder() -> Path:
    """Return where programs of this person keep what stays on this Windows machine."""
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")


def claude_code_folder() -> Path:
    """Return where Claude Code keeps what it knows of this person."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home())


MODEL_KEYS = frozenset({"CRM_ANTHROPIC_KEY", "CRM_OPENAI_COMPATIBLE_KEY"})


def agents_environment(home: Path) -> dict[str, str]:
    """Return this process's environment for a server that an agent of ours calls: without the models' keys, which no
    server needs."""
    return {name: value for name, value in quiet_environment(home).items() if name not in MODEL_KEYS}


def quiet_environment(home: Path) -> dict[str, str]:
    """Return this process's environment for a server that it starts on a home, which shall open no browser."""
    return {**os.environ, "CRM_HOME": str(home), "CRM_OPEN_BROWSER": "never"}
