"""A browser without a screen: it keeps cookies, sends what browsers send, and fills in forms."""

import re
from html import unescape

import httpx2

ORIGIN = "http://localhost:8787"


class Browser:
    """One browser on the page: the app's in this process, or with no app the one that listens at the origin."""

    def __init__(self, app=None, origin=ORIGIN):
        self.origin = origin
        transport = None if app is None else httpx2.ASGITransport(app=app)
        self.client = httpx2.AsyncClient(transport=transport, base_url=origin, timeout=60)

    async def get(self, path, **headers):
        return await self.client.get(path, headers=headers)

    async def post(self, path, fields, **headers):
        """Send a form as this page's own, unless the headers say otherwise; None leaves a header out."""
        sent = {"origin": self.origin, **headers}
        return await self.client.post(path, data=fields, headers={k: v for k, v in sent.items() if v is not None})

    async def follow(self, answer):
        assert answer.status_code == 303, answer.text
        return await self.get(answer.headers["location"])

    async def use(self, link):
        """Open a login link and press its button."""
        shown = await self.get(link)
        return await self.post("/login", hidden(shown.text))

    async def form(self, draft, action="approve"):
        """Return the hidden fields of one of a draft's forms."""
        shown = await self.get(f"/drafts/{draft}")
        found = re.search(rf'<form[^>]*action="/drafts/{draft}/{action}".*?</form>', shown.text, re.DOTALL)
        assert found, shown.text
        return hidden(found[0])

    async def press(self, draft, action="approve", **fields):
        return await self.post(f"/drafts/{draft}/{action}", {**await self.form(draft, action), **fields})


class Keyed(Browser):
    """A browser with an authenticator: what passkeys.js does, without a screen."""

    def __init__(self, app, origin, key):
        super().__init__(app, origin)
        self.key = key

    async def enrol(self, name="My phone", origin=None, **said):
        csrf = hidden((await self.get("/passkeys")).text)["csrf"]
        asked = await self.post("/passkeys/options", {"csrf": csrf})
        if asked.status_code != 200:
            return asked
        made = self.key.create(asked.json(), origin or self.origin, **said)
        return await self.post("/passkeys", {"csrf": csrf, "name": name, "credential": made})

    async def asked(self, draft, action="approve", **fields):
        """Return the form of a decision, and what a passkey is asked to sign for it."""
        fields = {**await self.form(draft, action), **fields}
        answer = await self.post(f"/drafts/{draft}/{action}/options", fields)
        return fields, answer.json()

    async def sign(self, draft, action="approve", key=None, origin=None, fields=None, **said):
        sent, options = await self.asked(draft, action, **(fields or {}))
        sent["credential"] = (key or self.key).get(options, origin or self.origin, **said)
        return await self.post(f"/drafts/{draft}/{action}", sent)

    async def sign_in(self, key=None, next="/", origin=None, **said):
        options = (await self.post("/login/passkey/options", {})).json()
        credential = (key or self.key).get(options, origin or self.origin, **said)
        return await self.post("/login/passkey", {"credential": credential, "next": next})


def hidden(html):
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html)}


def text(html):
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).replace("\xa0", " ").split())
