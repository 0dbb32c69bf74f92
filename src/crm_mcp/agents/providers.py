"""The models behind one interface: a choice of the plan becomes a client of its provider (S1 section 2)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import SecretStr
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolCallPart, ToolReturnPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from ..config import Settings
from .plan import LOCAL, Choice, Plan, ProviderName

PER_TOKEN = 4
"""Characters of a token, where nobody counts (S0 section 9)."""
SETTING: Mapping[ProviderName, str] = {
    "anthropic": "CRM_ANTHROPIC_KEY",
    "openai-compatible": "CRM_OPENAI_COMPATIBLE_KEY",
}
SECONDS = 120.0
"""For one answer of a provider; the use case's own time ends sooner where it is shorter."""


class NoKey(Exception):
    """There is no key for this provider."""

    def __init__(self, provider: ProviderName) -> None:
        super().__init__(f"There is no key for the provider {provider}: set {SETTING[provider]}.")


class Counted(NamedTuple):
    """How many tokens a request has, and whether the provider counted them or they are characters by four."""

    tokens: int
    is_exact: bool


class Providers:
    """Opens the plan's models, one client a provider; an asynchronous context that closes them."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._plan = plan
        self._keys: Mapping[ProviderName, SecretStr | None] = {
            "anthropic": settings.anthropic_key,
            "openai-compatible": settings.openai_compatible_key,
        }
        self._anthropic: AsyncAnthropic | None = None
        self._openai: AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *problem: object) -> None:
        if self._anthropic is not None:
            await self._anthropic.close()
        if self._openai is not None:
            await self._openai.close()

    def has_key(self, provider: ProviderName) -> bool:
        """Say whether a provider can be asked: with a key, or on this machine, where it may do without."""
        is_near = urlsplit(self._plan.providers[provider].base_url).hostname in LOCAL
        return self._keys[provider] is not None or (provider == "openai-compatible" and is_near)

    def model(self, choice: Choice) -> Model:
        """Return the model of a choice.

        Raises:
            NoKey: its provider has none.
        """
        if not self.has_key(choice.provider):
            raise NoKey(choice.provider)
        where, key = self._plan.providers[choice.provider], self._keys[choice.provider]
        secret = None if key is None else key.get_secret_value()
        if choice.provider == "anthropic":
            if self._anthropic is None:
                self._anthropic = AsyncAnthropic(
                    api_key=secret, base_url=where.base_url, max_retries=where.retries, timeout=SECONDS
                )
            return AnthropicModel(choice.model, provider=AnthropicProvider(anthropic_client=self._anthropic))
        if self._openai is None:
            self._openai = AsyncOpenAI(
                api_key=secret or "none", base_url=where.base_url, max_retries=where.retries, timeout=SECONDS
            )
        provider = OpenAICompatibleProvider("openai-compatible", openai_client=self._openai)
        return OpenAIChatModel(choice.model, provider=provider)

    async def count(
        self, choice: Choice, messages: Sequence[ModelMessage], asked: ModelRequestParameters | None = None
    ) -> Counted:
        """Count a request's tokens: by the provider where it has a way, else by characters, which says so."""
        if choice.provider != "anthropic":
            return Counted(estimated(messages, asked), False)
        try:
            used = await self.model(choice).count_tokens(list(messages), None, asked or ModelRequestParameters())
        except (ModelAPIError, UnexpectedModelBehavior, NoKey):
            return Counted(estimated(messages, asked), False)
        return Counted(used.input_tokens, True)


def estimated(messages: Sequence[ModelMessage], asked: ModelRequestParameters | None = None) -> int:
    """Return about how many tokens a request has: its texts, its tools, four characters a token."""
    size = sum(_length(part) for message in messages for part in message.parts)
    for tool in asked.function_tools if asked else ():
        size += len(tool.name) + len(tool.description or "") + len(str(tool.parameters_json_schema))
    if messages and isinstance(messages[-1], ModelRequest):
        size += len(messages[-1].instructions or "")
    return -(-size // PER_TOKEN)


def _length(part: object) -> int:
    """Return the characters of a part that a provider is sent."""
    match part:
        case ToolCallPart():
            return len(part.tool_name) + len(part.args_as_json_str())
        case ToolReturnPart():
            return len(part.tool_name) + len(part.model_response_str())
        case _:
            return len(str(getattr(part, "content", "")))


def is_away(problem: Exception) -> bool:
    """Say whether another model may answer where this one did not: away, overloaded, out of quota or of access."""
    return isinstance(
        problem,
        NoKey
        | ModelConnectionError
        | ModelRateLimitError
        | ModelQuotaExceededError
        | ModelUnavailableError
        | ModelServerError
        | ModelAuthenticationError
        | ModelNotFoundError,
    )


def said_of(problem: Exception) -> str:
    """Return what may be said of why a model did not answer: no provider's words, no address, no key."""
    match problem:
        case NoKey():
            return str(problem)
        case ModelRateLimitError() | ModelUnavailableError():
            return "it is overloaded"
        case ModelQuotaExceededError():
            return "the account's quota is used up"
        case ModelAuthenticationError():
            return "it does not take the key"
        case ModelNotFoundError():
            return "the provider has no such model"
        case ModelConnectionError():
            return "it cannot be reached"
        case ModelServerError():
            return "it failed on its side"
        case ModelContextWindowExceededError():
            return "the request has become longer than it takes"
        case _:
            return "it answered nothing that can be used"
