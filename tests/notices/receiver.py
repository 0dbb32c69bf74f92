"""A real HTTP server that takes posts, and answers what it is told to."""

import asyncio
import json
from contextlib import asynccontextmanager


class Receiver:
    """What was posted: (headers, body). `codes` are answered one after another, then 200; `hang` answers nothing."""

    def __init__(self):
        self.posts, self.codes, self.extra, self.hang, self.port = [], [], "", False, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook/hush"

    @property
    def bodies(self):
        return [json.loads(body) for _, body in self.posts]

    async def answer(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            self.posts.append((headers, await reader.readexactly(int(headers["content-length"]))))
            if self.hang:
                await reader.read()
                return
            code = self.codes.pop(0) if self.codes else 200
            writer.write(
                f"HTTP/1.1 {code} Said\r\n{self.extra}Content-Length: 2\r\nConnection: close\r\n\r\nok".encode()
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving():
    made = Receiver()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
