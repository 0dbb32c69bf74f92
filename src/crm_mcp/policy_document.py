"""An org's policy as it is stored: every setting with its standard value and its unit, and how one is changed.

What follows from it is judged in `policy.py`; which changes loosen it, Postgres says (`crm.policy_loosened`).
"""

import difflib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from .errors import Refusal
from .jsonvalue import is_object
from .principal import Agent


class Switch(StrEnum):
    """What becomes of the writes of an agent: judged as anybody's, held, or denied."""

    NORMAL = "normal"
    HOLD = "hold"
    OFF = "off"


class Progress(StrEnum):
    """Whether contacts may move through a pipeline without a person."""

    NORMAL = "normal"
    HOLD = "hold"


class Passkeys(StrEnum):
    NEVER = "never"
    OVER_LIMIT = "over_limit"
    ALWAYS = "always"


class Mode(StrEnum):
    RUN = "run"
    HOLD = "hold"


class Table(StrEnum):
    """Tables an org may decide about. Whatever is missing here, such as orders, is held whatever the org decides.

    A table of parties or leads joins with the migration that makes it, which lets the guard follow too.
    """

    CUSTOMERS = "customers"
    CONTACTS = "contacts"
    ORGANIZATIONS = "organizations"
    INDIVIDUALS = "individuals"
    LEADS = "leads"
    DEALS = "deals"
    PROJECTS = "projects"
    DOCUMENTS = "documents"
    ISSUES = "issues"
    NOTES = "notes"
    TASKS = "tasks"
    ACTIVITIES = "activities"
    PREFERENCES = "preferences"
    LEARNINGS = "learnings"
    EXPORTS = "exports"


REVERSIBLE = frozenset(
    {Table.NOTES, Table.TASKS, Table.ACTIVITIES, Table.PREFERENCES, Table.LEARNINGS, Table.EXPORTS}
)
"""What runs until an org decides otherwise: it is taken back easily, or, as an export, goes by itself."""
STANDARD_TABLES = {table: Mode.RUN if table in REVERSIBLE else Mode.HOLD for table in Table}
STANDARD_AGENTS = dict.fromkeys(Agent, Switch.NORMAL)


def _plain(number: Decimal) -> Decimal:
    """Return a number without trailing zeros and without an exponent: one value, one text."""
    return Decimal(format(number, "f").rstrip("0").rstrip(".") if "." in format(number, "f") else format(number, "f"))


def _counted(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is a number, not yes or no")
    return value


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in ("yes", "no", "true", "false"):
        raise ValueError("is yes or no")
    return value.lower() in ("yes", "true")


Amount = Annotated[Decimal, BeforeValidator(_counted), Field(ge=0, le=10**15), AfterValidator(_plain)]
Share = Annotated[Decimal, BeforeValidator(_counted), Field(ge=0, le=1), AfterValidator(_plain)]
YesNo = Annotated[bool, BeforeValidator(_yes_or_no)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageMoves(Part):
    max_value: Amount = Field(default=Decimal(10_000), description="a move of more is held; base currency")
    pipelines: dict[Name, Progress] = Field(
        default_factory=dict[str, Progress], description="hold: each move is held"
    )
    stages: dict[Name, YesNo] = Field(
        default_factory=dict[str, bool], description="whether a move into it may run, whatever the stage itself says"
    )


class Policy(Part):
    """An org's policy. Amounts are gross, in the org's base currency; `version` counts its changes from 1."""

    version: int = Field(default=1, exclude=True)
    learning_mode: YesNo = Field(default=False, description="every write is held")
    hold_below_confidence: Share = Field(
        default=Decimal("0.85"), description="stated confidence, 0 to 1; below, a write is held"
    )
    deny_agents_above: Amount = Field(
        default=Decimal(50_000), description="agents may not; with 24 hours for one customer; base currency, gross"
    )
    approval_limit: Amount = Field(
        default=Decimal(5_000),
        description="of a new approver, and where passkeys=over_limit begins; base currency, gross",
    )
    passkeys: Passkeys = Field(
        default=Passkeys.NEVER, description="what an approver signs: never, over_limit, always"
    )
    solo: YesNo = Field(default=False, description="one person may approve what they drafted themselves")
    run_tables: dict[Table, Mode] = Field(
        default_factory=lambda: dict(STANDARD_TABLES), description="creating or editing one record: run or hold"
    )
    agents: dict[Agent, Switch] = Field(
        default_factory=lambda: dict(STANDARD_AGENTS), description="its writes: normal, hold, or off (denied)"
    )
    stage_moves: StageMoves = StageMoves()

    @field_validator("run_tables")
    @classmethod
    def _all_tables(cls, given: dict[Table, Mode]) -> dict[Table, Mode]:
        return STANDARD_TABLES | given

    @field_validator("agents")
    @classmethod
    def _all_agents(cls, given: dict[Agent, Switch]) -> dict[Agent, Switch]:
        return STANDARD_AGENTS | given

    @property
    def runs(self) -> frozenset[str]:
        """The tables whose changes may run."""
        return frozenset(table.value for table, mode in self.run_tables.items() if mode is Mode.RUN)

    @classmethod
    def of(cls, version: int, document: object) -> "Policy":
        """Read a document; what it does not say is as by default.

        Raises:
            Refusal: INVALID_POLICY, with the nearest name of a setting that there is not.
        """
        if not is_object(document):
            raise Refusal("INVALID_POLICY", "A policy is a JSON object of settings.")
        unknown = next((str(key) for key in document if key not in cls.model_fields or key == "version"), None)
        if unknown is not None:
            raise _unknown(unknown, [name for name in cls.model_fields if name != "version"])
        try:
            return cls.model_validate({**document, "version": version})
        except ValidationError as bad:
            raise _refusal(bad) from None

    @classmethod
    def in_force(cls, row: Iterable[Any] | None) -> "Policy":
        """Return an org's policy from the row of `IN_FORCE`; by default without one."""
        if row is None:
            return cls()
        version, document = row
        return cls.of(version, document)

    def document(self) -> dict[str, Any]:
        """Return what is stored: everything, so that a later standard changes nobody's policy."""
        return self.model_dump(mode="json")

    def settings(self) -> dict[str, str]:
        """Return every setting by its key, such as run_tables.customers, as a person writes its value."""
        return {key: _text(value) for key, value in _flat(self.document())}


IN_FORCE = """select coalesce(p.edition, 1), coalesce(p.document, crm.policy_standard() || jsonb_build_object('solo', o.solo))
 from crm.orgs o left join lateral (select x.edition, x.document from crm.policies x where x.org_id = o.id
  order by x.edition desc limit 1) p on true where o.id = %s"""
"""The statement whose row `Policy.in_force` reads: the last edition, or the standard of an org that has changed nothing."""

SURE = """(select (coalesce((select x.document from crm.policies x where x.org_id = {org} order by x.edition desc limit 1),
  crm.policy_standard()) ->> 'hold_below_confidence')::numeric)"""
"""What an org's policy wants an agent's stated confidence to be at least, as part of a statement that names the org."""

_OPEN = ("stage_moves.pipelines.", "stage_moves.stages.")
"""Keys that end in a name of the org's own."""


class Change(NamedTuple):
    """One setting's value before and after; None where it is not said."""

    setting: str
    before: str | None
    after: str | None


def difference(before: Policy, after: Policy) -> list[Change]:
    """Return the settings in which two policies differ."""
    old, new = before.settings(), after.settings()
    return [Change(key, old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)]


def meaning(key: str) -> str:
    """Return what a setting is, with its unit."""
    model: type[BaseModel] = Policy
    for step in key.split("."):
        field = model.model_fields[step]
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
            continue
        return field.description or ""
    return ""


def changed(policy: Policy, settings: Mapping[str, object]) -> Policy:
    """Return a policy with other values of some settings; an empty value is the standard one.

    Raises:
        Refusal: INVALID_POLICY, with the nearest name or value.
    """
    standard, flat = dict(_flat(Policy().document())), dict(_flat(policy.document()))
    for key, value in settings.items():
        if key not in standard and not any(key.startswith(opening) and key != opening for opening in _OPEN):
            raise _unknown(key, [*standard, *_OPEN])
        if value in ("", None) and key not in standard:
            flat.pop(key, None)
        else:
            flat[key] = standard[key] if value in ("", None) else value
    return Policy.of(policy.version, _nested(flat))


def _flat(document: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in document.items():
        if is_object(value):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield path + key, value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in flat.items():
        opening = next((opening for opening in _OPEN if key.startswith(opening)), None)
        *path, last = [*opening.split(".")[:-1], key.removeprefix(opening)] if opening else key.split(".")
        part = document
        for step in path:
            part = part.setdefault(step, {})
        part[last] = value
    return document


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _unknown(key: str, known: Iterable[str]) -> Refusal:
    names = list(known)
    near = difflib.get_close_matches(key, names, 1, 0.5)
    hint = f"There is no setting {key[:100]!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    if key.startswith("run_tables."):
        hint += f" Only these may run without a person: {', '.join(Table)}."
    return Refusal("INVALID_POLICY", hint, setting=key[:100], known=names)


def _refusal(bad: ValidationError) -> Refusal:
    first = bad.errors(include_url=False, include_context=True, include_input=True)[0]
    path = [str(part) for part in first["loc"] if part != "[key]"]
    key = ".".join(path)
    if first["type"] == "extra_forbidden" or (first["type"] == "enum" and first["loc"][-1] == "[key]"):
        settings = dict(_flat(Policy().document()))
        return _unknown(key, [name for name in settings if name.startswith(f"{path[0]}.")] or settings)
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = cast("object", first["input"])
    allowed = str(first.get("ctx", {}).get("expected", ""))
    near = difflib.get_close_matches(
        str(given).lower(), allowed.replace("'", "").replace(" or ", ", ").split(", "), 1
    )
    hint = f"{key}: {message[:1].lower()}{message[1:]}."[:300] + (f" Did you mean {near[0]!r}?" if near else "")
    return Refusal("INVALID_POLICY", hint, setting=key[:100])
