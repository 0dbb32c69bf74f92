"""What a tool is: inert data made by one decorator, and the arguments every tool shares."""

import difflib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .errors import Refusal
from .invisible import is_blank
from .jsonvalue import is_array, is_object
from .principal import Agent, Role


class Effect(StrEnum):
    READ = "read"
    NOTE = "note"
    """A low-risk write."""
    WRITE = "write"
    DELETE = "delete"


CARD = "ui://crm/draft"
"""The card that a client with MCP Apps shows for a call that may be held."""
EVERYONE = frozenset(Role)
SELLERS = frozenset({Role.ADMIN, Role.SALES, Role.OPERATIONS})


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("contains a NUL character; leave it out")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("contains half of a surrogate pair; send whole characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text that a database can hold: no NUL, no lone surrogate."""


def _storable_throughout(whole: Any) -> Any:
    left: list[Any] = [whole]
    while left:
        value = left.pop()
        if isinstance(value, str):
            _storable(value)
        elif is_object(value):
            left += [*value, *value.values()]
        elif is_array(value):
            left += value
    return whole


Anything = Annotated[Any, AfterValidator(_storable_throughout)]
"""A JSON value, judged later by whatever it is for; in no place of it is text that a database cannot hold."""
Values = dict[Text, Anything]
"""Such values by name."""


def _said(text: str) -> str:
    if is_blank(text):
        raise ValueError("is blank")
    return text


Words = Annotated[Text, AfterValidator(_said)]
"""Text that says something: not white space and invisible characters alone."""


class Args(BaseModel):
    """A tool's arguments; what is not declared is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WriteArgs(Args):
    """What every write takes: why (a person reads it), how sure the agent is, and a key under which the same call runs or waits once."""

    reason: Words = Field(max_length=500, description="Why; people read it.")
    confidence: float | None = Field(None, ge=0, le=1, strict=True)
    idempotency_key: Text | None = Field(None, max_length=100)

    def sureness(self) -> float | None:
        """Return how sure the caller is of all of it: what the policy looks at."""
        return self.confidence


class View(BaseModel):
    """The wire form of a record; `noun` names it in the result, `nouns` a list of it."""

    noun: ClassVar[str]
    nouns: ClassVar[str]


class Display(BaseModel):
    title: str
    subtitle: str = ""
    badge: str | None = None


V = TypeVar("V")


def _itself(record: Any) -> Sequence[Any]:
    return record


@dataclass(slots=True)
class Answer(Generic[V]):
    """What a handler found or did: the record (or records), its insights, how to show it.

    `did` completes the sentences "It would …" and "Done: …" of a write. `warnings` are what whoever approves it
    should know, as of now: they may change while it waits without making it another call. `after` returns the cursor
    behind so many rows of a list, None where it ends there; `listed` finds that list where it is not the record. `card`
    is a draft's for the card in the chat; no model is told it. `whole` gives the tool's page in the chat the record
    uncut, of which a model gets what its budget allows. `finish` is work of a write that is done only
    once the call is let run: what takes long and changes nothing that is judged, shown or undone, such as filling a file.
    It gives the answer in this one's place. `beside` are statements that follow a read's last row with the next flush, such
    as counting what was told: a read changes no record.
    """

    record: Any
    display: Display
    meta: Mapping[str, Any] | None = None
    did: str = ""
    warnings: Sequence[str] = ()
    after: Callable[[int], str | None] | None = None
    listed: Callable[[Any], Sequence[Any]] = _itself
    card: Mapping[str, Any] | None = None
    whole: bool = False
    finish: Callable[[], Awaitable["Answer[V]"]] | None = None
    beside: Sequence[tuple[str, tuple[object, ...]]] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    title: str
    toolset: str
    roles: frozenset[Role]
    agents: frozenset[Agent]
    effect: Effect
    description: str
    version: int
    args: type[Args]
    view: type[View]
    many: bool
    handler: Callable[..., Awaitable[Answer[Any]]]
    each: str | None = None
    """The list argument whose items are decided alone: the handler gets one at a time."""
    page: str | None = None
    """The page that a client with MCP Apps shows beside the call."""
    persons: bool = True
    """Whether it exists for people too, or for its agents alone."""

    @property
    def noun(self) -> str:
        return self.view.nouns if self.many else self.view.noun

    def parse(self, raw: Mapping[str, Any] | None) -> Args:
        """Validate arguments.

        Raises:
            Refusal: INVALID_ARGUMENT, naming the argument, what was wrong and the nearest valid value.
        """
        try:
            return self.args.model_validate(raw or {})
        except ValidationError as bad:
            raise refusal_of(self.args, bad) from None


def tool(
    *,
    title: str,
    toolset: str,
    roles: Collection[Role],
    effect: Effect,
    agents: Collection[Agent] = (),
    version: int = 1,
    each: str | None = None,
    page: str | None = None,
    persons: bool = True,
) -> Callable[[Callable[..., Awaitable[Answer[Any]]]], Tool]:
    """Declare a tool: its name is the function's, its description the docstring, its schemas the type hints."""

    def declare(handler: Callable[..., Awaitable[Answer[Any]]]) -> Tool:
        hints = get_type_hints(handler)
        (returned,) = get_args(hints["return"])
        many = get_origin(returned) is list
        view: type[View] = get_args(returned)[0] if many else returned
        lines = (handler.__doc__ or "").strip().splitlines()
        return Tool(
            handler.__name__,
            title,
            toolset,
            frozenset(roles),
            frozenset(agents),
            effect,
            " ".join(line.strip() for line in lines if line.strip()),
            version,
            hints["args"],
            view,
            many,
            handler,
            each,
            page,
            persons,
        )

    return declare


def _known(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the arguments there are where a path leads, through lists and nested models."""
    for step in path:
        if isinstance(step, int) or step not in model.model_fields:
            continue
        kinds: list[Any] = [model.model_fields[step].annotation]
        while kinds:
            kind = kinds.pop()
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
                break
            kinds += get_args(kind)
    return list(model.model_fields)


def refusal_of(args: type[Args], bad: ValidationError) -> Refusal:
    """Return what is said of arguments that do not fit: the first of them, and what would."""
    first = bad.errors(include_url=False, include_context=True, include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"])[:200]
    known = list(args.model_fields)
    if first["type"] == "extra_forbidden":
        known = _known(args, first["loc"][:-1])
        near = difflib.get_close_matches(path.rsplit(".", 1)[-1], known, 1, 0.5)
        hint = f"There is no argument {path!r}." + (f" Did you mean {near[0]!r}?" if near else "")
        return Refusal("INVALID_ARGUMENT", hint, argument=path, known=known)
    if first["type"] == "missing":
        return Refusal("INVALID_ARGUMENT", f"The argument {path!r} is required.", argument=path)
    message = first["msg"].removeprefix("Value error, ")
    return Refusal("INVALID_ARGUMENT", f"{path}: {message[:1].lower()}{message[1:]}."[:400], argument=path)
