"""One call of a model: reserved, asked of the first choice, else of the fallback, and settled by what it used."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from ..errors import Refusal
from ..money import Money
from .fitting import fitted
from .journal import End, Ended, Event
from .meter import Meter, Reservation
from .plan import Choice, Plan, UseCase
from .providers import Counted, NoKey, Providers, estimated, is_away, said_of

T = TypeVar("T", bound=BaseModel)
ATTEMPTS = 2
"""How often one choice is asked where its answer is cut off or no answer at all."""
ANSWER = "answer"
"""The tool whose arguments are a structured answer."""

Tell = Callable[[Event], Awaitable[None]]


class Unusable(Exception):
    """The model's answer was cut off, or is none."""


class Asked(NamedTuple):
    """What the model may call besides saying something; `forced` names the tools of which it must call one."""

    tools: Sequence[ToolDefinition] = ()
    forced: Sequence[str] = ()


class Models:
    """The models of a plan for one request: every call passes the meter, and the request's own budget.

    `spent` is by use case, in the plan's currency.
    """

    def __init__(self, plan: Plan, providers: Providers, meter: Meter, tell: Tell) -> None:
        self._plan, self._providers, self._meter, self._tell = plan, providers, meter, tell
        self.spent: dict[str, Decimal] = {}
        self.degraded: dict[str, str] = {}
        self.warnings: list[str] = []

    def ready(self, use_case: str) -> None:
        """Look before anything is begun whether there is a model to ask.

        Raises:
            Ended: NO_KEY.
        """
        choices = self._plan.use_cases[use_case].choices
        if not any(self._providers.has_key(choice.provider) for choice in choices):
            raise _end([NoKey(choice.provider) for choice in choices])

    async def generate(self, use_case: str, messages: Sequence[ModelMessage]) -> str:
        """Return what the model says.

        Raises:
            Ended: it did not come to that.
        """
        return (await self.stream(use_case, messages)).text or ""

    async def structured(self, use_case: str, messages: Sequence[ModelMessage], form: type[T]) -> T:
        """Return the model's answer in a form of ours.

        Raises:
            Ended: it did not come to that; BAD_ANSWER where it keeps to no form.
        """
        tool = ToolDefinition(
            name=ANSWER, description="Give the answer.", parameters_json_schema=form.model_json_schema()
        )
        for _ in range(ATTEMPTS):
            answer = await self.stream(use_case, messages, Asked([tool], [ANSWER]))
            for call in answer.tool_calls:
                try:
                    return form.model_validate(call.args_as_dict(raise_if_invalid=True))
                except (ValidationError, ValueError, AssertionError):
                    continue
        raise Ended(End.BAD_ANSWER, f"The model for {use_case} gave no answer in the form that was asked for.")

    async def count(self, use_case: str, messages: Sequence[ModelMessage], asked: Asked = Asked()) -> Counted:  # noqa: B008
        """Count the tokens of a request, and say whether the provider counted or four characters are taken for one."""
        parameters = ModelRequestParameters(function_tools=list(asked.tools))
        return await self._providers.count(self._plan.use_cases[use_case].choices[0], messages, parameters)

    async def stream(
        self,
        use_case: str,
        messages: Sequence[ModelMessage],
        asked: Asked = Asked(),  # noqa: B008 a tuple of constants
    ) -> ModelResponse:
        """Return the model's whole answer, its text told as it comes.

        Raises:
            Ended: NO_KEY, MODEL_AWAY, BAD_ANSWER, OVER_BUDGET.
        """
        case, problems = self._plan.use_cases[use_case], list[Exception]()
        for choice in case.choices:
            for _ in range(ATTEMPTS):
                if problems:
                    await self._tell(Event("again", {"why": said_of(problems[-1])}))
                try:
                    return await self._settled(use_case, case, choice, messages, asked)
                except Unusable as problem:
                    problems.append(problem)
                    continue
                except (ModelAPIError, NoKey) as problem:
                    problems.append(problem)
                    if not is_away(problem):
                        break
                    if choice != case.choices[-1]:
                        instead = f"{case.choices[-1].model}, since {choice.model}: {said_of(problem)}"
                        await self.lost(f"model of {use_case}", instead)
                    break
        raise _end(problems)

    async def lost(self, part: str, instead: str) -> None:
        """Note once what the run works without: a model, or what the server said of itself."""
        if part not in self.degraded:
            self.degraded[part] = instead
            await self._tell(Event("degraded", {"part": part, "instead": instead}))

    async def _settled(
        self, use_case: str, case: UseCase, choice: Choice, messages: Sequence[ModelMessage], asked: Asked
    ) -> ModelResponse:
        model = self._providers.model(choice)
        parameters = ModelRequestParameters(function_tools=list(asked.tools), allow_text_output=not asked.forced)
        messages = fitted(messages, case.max_input_tokens, parameters)
        tokens = estimated(messages, parameters)
        most = choice.price.of(tokens, case.max_output_tokens)
        self._within_request(use_case, case, most)
        try:
            held = await self._meter.reserve(use_case, tokens + case.max_output_tokens, self._money(most))
        except Refusal as refusal:
            is_spent = refusal.error in ("OVER_BUDGET", "NO_RATE")
            raise Ended(End.OVER_BUDGET if is_spent else End.REFUSED, refusal.hint) from None
        usage, problem = RequestUsage(), None
        settings = ModelSettings(max_tokens=case.max_output_tokens)
        if case.temperature is not None:
            settings["temperature"] = case.temperature
        if asked.forced:
            settings["tool_choice"] = list(asked.forced)
            settings["parallel_tool_calls"] = False
        answer: ModelResponse | None = None
        try:
            async with model_request_stream(
                model, messages, model_settings=settings, model_request_parameters=parameters
            ) as stream:
                try:
                    async for event in stream:
                        await self._say(event)
                finally:
                    usage = stream.usage
                answer = stream.get()
                if not usage.total_tokens:  # some providers count nothing
                    usage = RequestUsage(input_tokens=tokens, output_tokens=estimated([answer]))
        except (UnexpectedModelBehavior, asyncio.CancelledError) as unexpected:
            if not usage.total_tokens:  # it was sent, and what it used is not known
                usage = RequestUsage(input_tokens=tokens)
            if not isinstance(unexpected, UnexpectedModelBehavior):
                raise
            problem = unexpected
        finally:
            await asyncio.shield(self._settle(use_case, choice, held, usage))
        if problem is not None or answer is None or answer.finish_reason is None or not answer.parts:
            raise Unusable from problem
        return answer

    def _within_request(self, use_case: str, case: UseCase, most: Decimal) -> None:
        spent = self.spent.get(use_case, Decimal(0))
        if case.budget is not None and spent + most > case.budget:
            currency = self._plan.currency
            raise Ended(
                End.OVER_BUDGET,
                f"The budget of one request for {use_case} is {case.budget} {currency}: {spent:.6f} is spent, and this "
                f"call may need {most:.6f}. Ask for less at once, or raise use_cases.{use_case}.budget in agents.yaml.",
            )

    async def _settle(self, use_case: str, choice: Choice, held: Reservation, usage: RequestUsage) -> None:
        cost = choice.price.of(usage.input_tokens, usage.output_tokens)
        self.spent[use_case] = self.spent.get(use_case, Decimal(0)) + cost
        spent = await self._meter.settle(
            held,
            usage.input_tokens,
            usage.output_tokens,
            self._money(cost),
            model=choice.model,
        )
        about = {
            "use_case": use_case,
            "model": choice.model,
            "tokens_in": usage.input_tokens,
            "tokens_out": usage.output_tokens,
            "money": f"{cost:f}",
            "currency": self._plan.currency,
        }
        await self._tell(Event("spent", about))
        for warning in spent.warnings:
            if warning not in self.warnings:
                self.warnings.append(warning)
                await self._tell(Event("warning", {"text": warning}))

    async def _say(self, event: object) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=text)) if text:
                await self._tell(Event("text", {"text": text}))
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)) if text:
                await self._tell(Event("text", {"text": text}))
            case _:
                pass

    def _money(self, amount: Decimal) -> Money:
        return Money(amount=f"{amount:f}", currency=self._plan.currency)


def _end(problems: Sequence[Exception]) -> Ended:
    """Return how a run ends whose models all failed: of each, why."""
    if all(isinstance(problem, NoKey) for problem in problems):
        return Ended(End.NO_KEY, " ".join(dict.fromkeys(str(problem) for problem in problems)))
    said = "; ".join(dict.fromkeys(said_of(problem) for problem in problems))
    if any(is_away(problem) for problem in problems):
        return Ended(End.MODEL_AWAY, f"No model answers: {said}. Nothing more was done; try again later.")
    return Ended(End.BAD_ANSWER, f"The model cannot be used: {said}.")
