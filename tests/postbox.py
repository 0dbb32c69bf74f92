"""A real mail server in this process, which misbehaves where it is told to."""

import asyncio
from contextlib import asynccontextmanager
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, Envelope


class Postbox:
    """What arrived, and how the server behaves: `drop` names the phase at which it hangs up, `hold` where it waits,
    `say` what it answers to a phase or to a recipient."""

    def __init__(self):
        self.mails: list[Envelope] = []
        self.drop: str | None = None
        self.hold: str | None = None
        self.say: dict[str, str] = {}
        self.held, self.released = asyncio.Event(), asyncio.Event()
        self.port = 0
        self.connections = 0

    @property
    def message_ids(self):
        return [self.read(at)["Message-ID"] for at in range(len(self.mails))]

    def read(self, at=0):
        return message_from_bytes(self.mails[at].content, policy=policy.default)

    async def at(self, phase, server):
        """Return what the server says at a phase, None for what it would say anyway."""
        if self.hold == phase:
            self.held.set()
            await self.released.wait()
        if self.drop == phase:
            server.transport.abort()
        return self.say.get(phase)

    async def handle_MAIL(self, server, session, envelope, address, options):
        said = await self.at("MAIL", server)
        if said:
            return said
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        said = await self.at("RCPT", server) or self.say.get(address)
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        said = self.say.get("dot")
        if not said and self.drop != "content":
            self.mails.append(envelope)
        await self.at("dot", server)
        await self.at("content", server)
        return said or "250 OK"


class Wire(SMTP):
    """The protocol, with two more places to misbehave: the greeting, and the DATA command."""

    def __init__(self, box):
        self.box = box
        super().__init__(box, hostname="postbox.example", enable_SMTPUTF8=True)

    def connection_made(self, transport):
        self.box.connections += 1
        if self.box.drop == "connect":
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, error):
        if self.transport is not None:
            super().connection_lost(error)

    async def smtp_DATA(self, arg):
        said = await self.box.at("DATA", self)
        if said:
            await self.push(said)
        elif self.box.drop != "DATA":
            await super().smtp_DATA(arg)


@asynccontextmanager
async def postbox():
    box = Postbox()
    listener = await asyncio.get_running_loop().create_server(lambda: Wire(box), "127.0.0.1", 0)
    box.port = listener.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        box.released.set()
        listener.close()
