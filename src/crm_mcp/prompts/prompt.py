"""What a prompt is: inert data made by one decorator, its arguments, and what it says."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Protocol, get_type_hints

from pydantic import AfterValidator, Field, ValidationError

from ..context import Read
from ..errors import Refusal
from ..invisible import is_blank
from ..tool import Args, refusal_of


class PromptArgs(Args):
    """A prompt's arguments: texts, as clients send them; one left blank is one left out."""


def is_storable(text: str) -> bool:
    """Say whether a database can hold a text: no NUL, no half of a surrogate pair."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("holds a control character or half a character; leave it out")
    return text


Named = Annotated[str, Field(max_length=300), AfterValidator(_storable)]
"""A text that names something: an id, a name, or both as completion offers them."""


class Offer(NamedTuple):
    """What an argument could be: at most 100 values out of how many; None: more than are counted."""

    values: list[str]
    total: int | None


class Completes(Protocol):
    """Offers values for an argument by what is typed so far and by the arguments already given."""

    async def __call__(self, ctx: Read, typed: str, given: Mapping[str, str]) -> Offer: ...


class Brief(NamedTuple):
    """What a prompt says. `goal`, `steps` and `result` are words of this program alone, with ids, days and numbers;
    whatever people wrote stands in `facts`. A step that is None is left out."""

    goal: str
    steps: Collection[str | None]
    result: str
    facts: Mapping[str, Any]
    rules: Collection[str] = ()


class UnknownPrompt(Refusal):
    """No such prompt for this principal; a hidden one answers exactly like one that does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__("UNKNOWN_PROMPT", "Use one of the prompts that prompts/list shows.", prompt=name[:100])


Makes = Callable[..., Awaitable[Brief]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """`calls`: tools without which the job cannot be done; a principal who does not see them all does not see it.
    `reads`: tools whose answer it brings along; a principal who may not call them does not see it, but the usual list
    need not show them. `also`: tools that it names where the principal sees them. `reports`: those that it runs.
    """

    name: str
    title: str
    description: str
    args: type[PromptArgs]
    makes: Makes
    calls: frozenset[str]
    reads: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    reports: frozenset[str] = frozenset()
    completes: Mapping[str, Completes] = field(default_factory=dict[str, Completes])

    def parse(self, raw: Mapping[str, str]) -> PromptArgs:
        """Validate arguments.

        Raises:
            Refusal: INVALID_ARGUMENT, naming the argument, what was wrong and the nearest valid value.
        """
        try:
            return self.args.model_validate({name: text for name, text in raw.items() if not is_blank(text)})
        except ValidationError as bad:
            raise refusal_of(self.args, bad) from None


def prompt(
    *,
    title: str,
    calls: Collection[str],
    reads: Collection[str] = (),
    also: Collection[str] = (),
    reports: Collection[str] = (),
    completes: Mapping[str, Completes] | None = None,
) -> Callable[[Makes], Prompt]:
    """Declare a prompt: its name is the function's, its description the docstring, its arguments the type hints."""

    def declare(makes: Makes) -> Prompt:
        return Prompt(
            makes.__name__,
            title,
            " ".join((makes.__doc__ or "").split()),
            get_type_hints(makes)["args"],
            makes,
            frozenset(calls),
            frozenset(reads),
            frozenset(also),
            frozenset(reports),
            completes or {},
        )

    return declare
