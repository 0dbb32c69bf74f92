"""What `agents.yaml` says: the model, the limits and the price of each use case (S0 section 9, S1 section 1)."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..jsonvalue import is_object
from ..money import Currency
from ..principal import Agent

PACKAGED = Path(__file__).parent / "agents.yaml"
NAME = "agents.yaml"
SUMMARY = "summary"
USE_CASES = frozenset({*(agent.value for agent in Agent), SUMMARY})
MILLION = Decimal(1_000_000)
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
ADDRESS = "give https://…, or http:// on this machine, without a password or a query"
MOST = 256 * 1024
"""Bytes of a file."""

ProviderName = Literal["anthropic", "openai-compatible"]


class PlanInvalid(ValueError):
    """The file cannot be used; each line says where and why."""


def _address(text: str) -> str:
    """Let an address pass that a key may be sent to: https, or plain http on this machine."""
    try:
        parts = urlsplit(text)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL)
    except ValueError:
        raise ValueError(ADDRESS) from None
    if not is_safe or parts.hostname is None or parts.username or parts.query or parts.fragment:
        raise ValueError(ADDRESS)
    return text.rstrip("/")


def _use_case(name: str) -> str:
    if name not in USE_CASES:
        raise ValueError(f"there is no such use case; known: {', '.join(sorted(USE_CASES))}")
    return name


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Amount = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]


class Price(Strict):
    """Of a million tokens, in the file's currency."""

    input: Amount
    output: Amount

    def of(self, tokens_in: int, tokens_out: int) -> Decimal:
        """Return what so many tokens cost, unrounded."""
        return (self.input * tokens_in + self.output * tokens_out) / MILLION


class Choice(Strict):
    """A model of a provider, and what it costs."""

    provider: ProviderName
    model: str = Field(min_length=1, max_length=200)
    price: Price


class UseCase(Choice):
    """What one kind of work is done with, and within what: `seconds` and `budget` of one request, `turns` of the model."""

    temperature: float | None = Field(None, ge=0, le=2)
    max_input_tokens: int = Field(ge=1000, le=1_000_000)
    """What a request carries at most; beyond it, what a run said and read long ago is left out."""
    max_output_tokens: int = Field(ge=16, le=200_000)
    turns: int = Field(ge=1, le=500)
    seconds: float = Field(gt=0, le=86_400)
    memory: bool
    budget: Amount | None = None
    fallback: Choice | None = None

    @property
    def choices(self) -> Sequence[Choice]:
        """The models in the order in which they are asked."""
        first = Choice(provider=self.provider, model=self.model, price=self.price)
        return [first] if self.fallback is None else [first, self.fallback]


class Provider(Strict):
    base_url: Annotated[str, AfterValidator(_address)]
    retries: int = Field(2, ge=0, le=10)


class Memory(Strict):
    """How much of a conversation a follow-up is told (S0 sections 3 and 9): its last messages, within so many tokens.

    What is older is told in short, in `summary_tokens` of them.
    """

    turns: int = Field(10, ge=2, le=10)
    history_tokens: int = Field(1000, ge=200, le=1000)
    summary_tokens: int = Field(300, ge=50, le=500)

    @model_validator(mode="after")
    def _fits(self) -> "Memory":
        if self.summary_tokens * 2 > self.history_tokens:
            raise ValueError("memory.summary_tokens: at most half of history_tokens")
        return self


class Plan(Strict):
    """The whole file, as it is in force."""

    version: Literal[1]
    currency: Currency
    providers: dict[ProviderName, Provider]
    fallback_agent: Agent
    memory: Memory
    use_cases: dict[Annotated[str, AfterValidator(_use_case)], UseCase]

    @model_validator(mode="after")
    def _whole(self) -> "Plan":
        if missing := sorted(USE_CASES - set(self.use_cases)):
            raise ValueError(f"use_cases: {', '.join(missing)} is missing")
        if self.use_cases[Agent.TRIAGE].turns != 1:
            raise ValueError("use_cases.triage.turns: triage takes one turn, always")
        if self.fallback_agent is Agent.TRIAGE:
            raise ValueError("fallback_agent: name a specialist")
        for name, case in self.use_cases.items():
            for choice in case.choices:
                if choice.provider not in self.providers:
                    raise ValueError(f"use_cases.{name}: providers.{choice.provider} is missing")
        return self


class Sourced(NamedTuple):
    """A plan, and the file that it differs from the packaged one by."""

    plan: Plan
    file: Path | None


def load(chosen: Path | None, home: Path) -> Sourced:
    """Return the plan in force: the packaged one, with what the chosen file or the home's says instead.

    Raises:
        PlanInvalid: a file that is not there, no YAML, or says what cannot be; each line names the file, line and field.
    """
    packaged = _read(PACKAGED)
    file = chosen if chosen is not None else home / NAME
    if chosen is None and not file.is_file():
        return Sourced(_checked(packaged.said, packaged, PACKAGED), None)
    own = _read(file)
    _priced(own, file)
    return Sourced(_checked(_laid_over(packaged.said, own.said), own, file), file)


class _Read(NamedTuple):
    said: dict[str, Any]
    lines: Mapping[tuple[Hashable, ...], int]
    """The line of each field by its path."""


def _read(file: Path) -> _Read:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MOST + 1)
    except OSError as problem:
        raise PlanInvalid(f"{file}: it cannot be read ({problem.strerror or type(problem).__name__}).") from None
    if len(raw) > MOST:
        raise PlanInvalid(f"{file}: it is longer than {MOST // 1024} KB.")
    try:
        text = raw.decode("utf-8")
        node = cast("yaml.Node | None", yaml.compose(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
        lines = dict(_lines(node, (), file)) if node is not None else {}
        said: Any = yaml.safe_load(text)
    except UnicodeDecodeError:
        raise PlanInvalid(f"{file}: it is not UTF-8.") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise PlanInvalid(f"{file}{where}: it is no YAML: {getattr(problem, 'problem', None) or 'broken'}.") from None
    if said is None:
        said = {}
    if not is_object(said):
        raise PlanInvalid(f"{file}, line 1: it must say names and values.")
    return _Read(dict(said), lines)


def _lines(node: yaml.Node, path: tuple[Hashable, ...], file: Path) -> Iterator[tuple[tuple[Hashable, ...], int]]:
    """Yield each field's path and line.

    Raises:
        PlanInvalid: a field twice in one place, of which YAML would silently keep the last.
    """
    yield path, node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
    for key, value in pairs:
        name = str(key.value)
        line = key.start_mark.line + 1
        if name in seen:
            raise PlanInvalid(f"{file}, line {line}: {'.'.join(map(str, (*path, name)))} is there twice.")
        seen.add(name)
        yield from (
            (where, line if where == (*path, name) else at) for where, at in _lines(value, (*path, name), file)
        )


def _priced(own: _Read, file: Path) -> None:
    """Refuse another model without its price: what it costs would be reckoned by the price of the one before."""
    cases = own.said.get("use_cases")
    for name, case in cases.items() if is_object(cases) else ():
        if is_object(case) and ("model" in case or "provider" in case) and "price" not in case:
            line = own.lines.get(("use_cases", name), 1)
            raise PlanInvalid(f"{file}, line {line}: use_cases.{name}: another model needs its price.")


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with another's values in its place, field by field; a fallback and a price are replaced whole."""
    both = dict(under)
    for key, value in over.items():
        before = both.get(key)
        whole = key in ("fallback", "price")
        both[key] = _laid_over(before, value) if is_object(before) and is_object(value) and not whole else value
    return both


def _checked(said: dict[str, Any], own: _Read, file: Path) -> Plan:
    try:
        return Plan.model_validate(said)
    except ValidationError as bad:
        raise PlanInvalid("\n".join(_why(error, own, file) for error in bad.errors(include_url=False))) from None


def _why(error: Any, own: _Read, file: Path) -> str:
    said = str(error["msg"]).removeprefix("Value error, ")
    path: tuple[Hashable, ...] = tuple(part for part in error["loc"] if part != "[key]")
    if not path:  # of the whole: it names the field itself
        field, _, said = said.partition(": ")
        path = tuple(field.split("."))
    line = next((own.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in own.lines), None)
    if error["type"] == "extra_forbidden":
        said = "there is no such field"
    field = ".".join(map(str, path))
    return f"{file}{'' if line is None else f', line {line}'}: {field}: {said}."
