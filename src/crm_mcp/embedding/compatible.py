"""Vectors from any endpoint that speaks OpenAI's `POST …/embeddings`: a provider's, or a server of one's own.

One request is all that is needed of it, so it is written on httpx2, which is here anyway; the provider's own client would
be one more library in every process that serves.
"""

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable, Sequence
from secrets import randbelow
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from .embedder import EmbedderAway, Purpose

if TYPE_CHECKING:
    import httpx2

BATCH = 64
"""Texts of one request."""
MOST_CHARACTERS = 100_000
"""Characters of one request; a text longer than `LONGEST` is cut."""
LONGEST = 6_000
SHORTEST = 250
"""What a text that is refused alone is cut down to, by halves, before it is given up."""
PLAIN = "hello"
"""A text that every model takes."""
MOST_BYTES = 32_000_000
"""Of an answer."""
PATIENCE = 30.0
"""Seconds until a connection stands, and between two pieces of an answer."""
TRIES: dict[Purpose, int] = {"query": 2, "document": 5}
"""How often a request is sent while the endpoint is busy or away: somebody waits for a query."""
_BUSY = frozenset({408, 409, 425, 429})
_REFUSED = frozenset({400, 413, 422})
"""Answers that may be about the texts: too long, or not to its taste."""

Pause = Callable[[float], Awaitable[None]]


class AddressInvalid(ValueError):
    """CRM_EMBEDDER_URL is no address of an endpoint: https://…/v1, or http:// where no key is sent or on this machine."""

    def __str__(self) -> str:
        return str(self.__doc__)


class TextsRefused(EmbedderAway):
    """The endpoint does not take these texts."""


class Compatible:
    """One model at one endpoint. The key goes out in a header, and nowhere else."""

    is_semantic = True

    def __init__(
        self,
        name: str,
        model: str,
        url: str,
        key: str | None = None,
        dimensions: int = 0,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """Where `dimensions` are stated, the endpoint is asked for as many; 0: it has its own.

        Raises:
            AddressInvalid: `url` leads to no endpoint that the key may be sent to; the message does not repeat it.
        """
        self.name, self.dimensions = name, dimensions
        self._model, self._stated, self._key, self._pause = model, dimensions, key, pause
        self._url, self._is_near = _endpoint(url, key)
        self._client: httpx2.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"Compatible({self.name!r})"

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        """Return a vector a text as the endpoint gave them; a text without a word is not sent, and has zeros."""
        worded = [at for at, text in enumerate(texts) if text.strip()]
        found: dict[int, list[float]] = {}
        for batch in _batches(texts, worded):
            for at, vector in zip(
                batch, await self._batch([texts[at][:LONGEST] for at in batch], purpose), strict=True
            ):
                if vector is not None:
                    found[at] = vector
        return [found.get(at) or [0.0] * self.dimensions for at in range(len(texts))]

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _batch(self, texts: list[str], purpose: Purpose) -> Sequence[list[float] | None]:
        try:
            return await self._asked(texts, purpose)
        except TextsRefused:
            await self._asked([PLAIN], purpose)  # refused as well, it is not about the texts
            return await self._taken(texts, purpose)

    async def _taken(self, texts: list[str], purpose: Purpose) -> Sequence[list[float] | None]:
        """Return vectors, None for a text that is refused for itself: one such must not hold up all others."""
        try:
            return await self._asked(texts, purpose)
        except TextsRefused:
            if len(texts) > 1:
                half = len(texts) // 2
                return [*await self._taken(texts[:half], purpose), *await self._taken(texts[half:], purpose)]
            if len(texts[0]) > SHORTEST:
                return await self._taken([texts[0][: max(SHORTEST, len(texts[0]) // 2)]], purpose)
            return [None]

    async def _asked(self, texts: list[str], purpose: Purpose) -> list[list[float]]:
        """Send one request, again where the endpoint is busy or away, each time after a longer pause."""
        tries = TRIES[purpose]
        for again in range(tries):
            code, body, after = await self._sent(texts)
            if code == 200:
                vectors = _vectors(body, len(texts))
                self.dimensions = self.dimensions or len(vectors[0])
                return vectors
            if code in _REFUSED:
                raise TextsRefused
            if 0 < code < 500 and code not in _BUSY:
                break
            if again + 1 < tries:
                await self._pause(after if after is not None else 0.25 * 2**again * (1 + randbelow(1000) / 1000))
        raise EmbedderAway

    async def _sent(self, texts: list[str]) -> tuple[int, bytes, float | None]:
        """Return the answer's code, its body and after how many seconds it wants to be asked again; 0 for no answer."""
        import httpx2

        question: dict[str, Any] = {"model": self._model, "input": texts}
        if self._stated:
            question["dimensions"] = self._stated
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        if self._client is None:
            self._client = httpx2.AsyncClient(
                timeout=PATIENCE,
                trust_env=not self._is_near,
                verify=httpx2.create_ssl_context(),
                headers={"user-agent": "crm-mcp"},
            )
        try:
            async with self._client.stream("POST", self._url, json=question, headers=headers) as told:
                body = bytearray()
                async for piece in told.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise EmbedderAway
                return told.status_code, bytes(body), _after(told.headers.get("retry-after"))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return 0, b"", None


def _batches(texts: Sequence[str], places: Sequence[int]) -> list[list[int]]:
    batches: list[list[int]] = []
    characters = 0
    for at in places:
        length = min(len(texts[at]), LONGEST)
        if not batches or len(batches[-1]) == BATCH or characters + length > MOST_CHARACTERS:
            batches.append([])
            characters = 0
        batches[-1].append(at)
        characters += length
    return batches


def _vectors(body: bytes, count: int) -> list[list[float]]:
    """Read an answer: one vector a text, each at its index.

    Raises:
        EmbedderAway: it is something else.
    """
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise EmbedderAway from None
    told = cast("dict[str, Any]", answer).get("data") if isinstance(answer, dict) else None
    rows = cast("list[Any]", told) if isinstance(told, list) else []
    placed: dict[object, list[float]] = {}
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise EmbedderAway
        one = cast("dict[str, Any]", row)
        vector: Any = one.get("embedding")
        if not isinstance(vector, list) or not vector:
            raise EmbedderAway
        numbers = cast("list[Any]", vector)
        if any(type(number) not in (int, float) for number in numbers):
            raise EmbedderAway
        index = one.get("index", at)
        if type(index) is not int:
            raise EmbedderAway
        placed[index] = numbers
    if len(rows) != count or set(placed) != set(range(count)):
        raise EmbedderAway
    return [placed[at] for at in range(count)]


def _after(said: str | None) -> float | None:
    """Return how long to wait by a Retry-After in seconds; one that is longer than anybody waits counts as none."""
    return float(said) if said is not None and said.isascii() and said.isdigit() and int(said) <= 20 else None


def _endpoint(url: str, key: str | None) -> tuple[str, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressInvalid from None
    near = _is_loopback(host)
    known = parts.scheme == "https" or (parts.scheme == "http" and (near or not key))
    if not known or not host or port == 0 or parts.fragment or parts.query or any(c.isspace() for c in url):
        raise AddressInvalid
    return url.rstrip("/").removesuffix("/embeddings") + "/embeddings", near


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
