"""A real HTTP server that speaks OpenAI's embeddings, and answers as badly as it is told to."""

import asyncio
import json
from contextlib import asynccontextmanager

from crm_mcp.embedding.ngrams import vector


class Endpoint:
    """`answers` are given one after another, each a function of the request's body: (code, headers, bytes); then good
    ones. `requests` holds what was asked: (path, headers, body)."""

    def __init__(self, dimensions=8):
        self.requests, self.answers, self.dimensions, self.port = [], [], dimensions, 0
        self.hang = asyncio.Event()
        self._server, self._talking = None, set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def good(self, body):
        """Return what a good endpoint answers: hashed n-grams, folded into few dimensions; in reverse order."""
        rows = [{"index": at, "embedding": self.vector(text)} for at, text in enumerate(body["input"])]
        return answer({"object": "list", "model": body["model"], "data": rows[::-1]})

    def vector(self, text):
        places = vector(text)
        return [sum(places[at :: self.dimensions]) for at in range(self.dimensions)]

    async def start(self):
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        """End as a killed server does: the port refuses, and connections that stand are cut."""
        self._server.close()
        for writer in list(self._talking):
            writer.transport.abort()

    async def _talk(self, reader, writer):
        self._talking.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
                }
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.requests.append((head[0].split()[1], headers, body))
                give = self.answers.pop(0) if self.answers else self.good
                told = give(body)
                if told is None:
                    await self.hang.wait()
                    return
                code, more, content = told
                lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(
                    f"HTTP/1.1 {code} Said\r\n{lines}Content-Length: {len(content)}\r\n\r\n".encode() + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._talking.discard(writer)
            writer.close()


def answer(content, code=200, **headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return code, headers, body


@asynccontextmanager
async def endpoint(dimensions=8):
    made = Endpoint(dimensions)
    await made.start()
    try:
        yield made
    finally:
        made.hang.set()
        made.stop()
