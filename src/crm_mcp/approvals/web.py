"""The approvals page: where a person sees what an agent would do, and says yes or no."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from .. import ids
from ..db import Database
from ..errors import Refusal
from . import group, letter, receipt, session, undo
from .answers import LATE, STATUS, fell, http_error, link_is_spent, local, sign_in_first
from .executor import Executor, Outcome
from .forms import form_of, reason_of
from .guard import Guard
from .held import Shown
from .render import HERE, message, page
from .session import Session, session_of
from .views import draft_of, item_of

_STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
Endpoint = Callable[[Request], Awaitable[Response]]
ForPeople = Callable[["Page", Request, Session], Awaitable[Response]]


def build_page(db: Database, *, origin: str) -> Starlette:
    """Return the page as an application. `db` connects as crm_approver; `origin` is where browsers find it."""
    it = Page(db, secure=origin.startswith("https:"))
    app = Starlette(
        routes=[
            Route("/healthz", it.health),
            Route("/static/{name}", it.static),
            Route("/login/{secret}", it.offer_login),
            Route("/login", it.login, methods=["POST"]),
            Route("/logout", it.signed_in(Page.logout), methods=["POST"]),
            Route("/", it.signed_in(Page.queue)),
            Route("/history", it.signed_in(Page.history)),
            Route("/drafts/{draft}", it.signed_in(Page.draft)),
            Route("/drafts/{draft}/message.eml", it.signed_in(Page.message)),
            Route("/drafts/{draft}/send", it.signed_in(Page.send), methods=["POST"]),
            Route("/drafts/{draft}/approve", it.signed_in(Page.approve), methods=["POST"]),
            Route("/drafts/{draft}/reject", it.signed_in(Page.reject), methods=["POST"]),
            Route("/drafts/{draft}/discard", it.signed_in(Page.discard), methods=["POST"]),
            Route("/drafts/{draft}/group", it.signed_in(Page.group)),
            Route("/drafts/{draft}/group", it.signed_in(Page.approve_group), methods=["POST"]),
            Route("/drafts/{draft}/undo", it.signed_in(Page.undo), methods=["POST"]),
        ],
        middleware=[Middleware(Guard, origin=origin.rstrip("/"), fallback=fell)],
        exception_handlers={HTTPException: http_error},
    )
    app.router.redirect_slashes = False
    return app


class Page:
    """The handlers, one a route."""

    def __init__(self, db: Database, *, secure: bool) -> None:
        self._db, self._executor, self._secure = db, Executor(db), secure

    def signed_in(self, handler: ForPeople) -> Endpoint:
        """Give a handler the session it needs; a form's token is checked here, for every one."""

        @wraps(handler)
        async def endpoint(request: Request) -> Response:
            found = await session_of(self._db, request)
            if found is None:
                return sign_in_first(request)
            if request.method == "POST":
                form = await form_of(request)
                if not found.owns(form.get("csrf", "")):
                    return message(found, 403, "That form is out of date", "Nothing was done. Open the page again.")
                request.state.form = form
            return await handler(self, request, found)

        return endpoint

    async def health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            raise HTTPException(404)
        return FileResponse(HERE / "static" / name, media_type=_STATIC[name])

    async def offer_login(self, request: Request) -> Response:
        """Ask before the link is used, so that what previews links does not use it up."""
        secret = request.path_params["secret"]
        if not session.is_secret(secret):
            return link_is_spent()
        return page("login.html", None, secret=secret, next=local(request.query_params.get("next")))

    async def login(self, request: Request) -> Response:
        form = await form_of(request)
        was = await session_of(self._db, request)
        secret = await session.begin(self._db, form.get("secret", ""))
        if secret is None and was is None:
            return link_is_spent()
        answer = RedirectResponse(local(form.get("next")), 303)
        if secret is not None:
            session.give(answer, secret, secure=self._secure)
            if was is not None:
                await session.end(self._db, was)
        return answer

    async def logout(self, request: Request, who: Session) -> Response:
        await session.end(self._db, who)
        answer = message(None, 200, "You are signed out", "To come back, run", command="crm-mcp open")
        session.take(answer, secure=self._secure)
        return answer

    async def queue(self, request: Request, who: Session) -> Response:
        return await self._list(who, waiting=True)

    async def history(self, request: Request, who: Session) -> Response:
        return await self._list(who, waiting=False)

    async def _list(self, who: Session, *, waiting: bool) -> Response:
        rows, now = await self._executor.queue(who.who, waiting=waiting), datetime.now(UTC)
        if not receipt.sees_every_draft(who.who):
            rows = [row for row in rows if row["requester"] == who.who.user]
        return page("list.html", who, waiting=waiting, items=[item_of(row, who.who, now) for row in rows])

    async def draft(self, request: Request, who: Session) -> Response:
        return await self._draft(who, _draft_in(request), late=LATE in request.query_params)

    async def _draft(
        self,
        who: Session,
        draft: int,
        *,
        status: int = 200,
        problem: str | None = None,
        late: bool = False,
        reason: str = "",
        reason_problem: str | None = None,
    ) -> Response:
        """Show a draft by the approver's own run of it; another org's is as unknown as one that never was."""
        shown = await self._visible(who, draft)
        call = shown.draft["decided_call"] if shown.draft["state"] == "approved" else None
        wrote = [] if call is None else await receipt.written(self._db, who.who, draft, call)
        now = datetime.now(UTC)
        seen = draft_of(shown, wrote, who.who, now)
        email = letter.email_in(shown.draft)
        post = None if email is None else await letter.post_of(self._db, who.who, email, now)
        is_mine = shown.draft["approver"] == who.who.user
        together = await group.members(self._db, who.who, draft) if seen.is_waiting and seen.letter else []
        return page(
            "draft.html",
            who,
            status=status,
            draft=seen,
            post=post,
            together=len(together),
            may_send=who.who.may_approve and who.who.may_send_email,
            problem=problem,
            reason=reason,
            reason_problem=reason_problem,
            is_mine=is_mine,
            late=late and not seen.is_waiting and not is_mine,
        )

    async def _visible(self, who: Session, draft: int) -> Shown:
        """Run a draft dry, for somebody who may see it."""
        shown = await self._executor.show(who.who, draft)
        if shown is None or not (receipt.sees_every_draft(who.who) or shown.draft["requester"] == who.who.user):
            raise HTTPException(404)
        return shown

    async def message(self, request: Request, who: Session) -> Response:
        """Hand an approved e-mail to a mail program, as a file."""
        draft = _draft_in(request)
        email = letter.email_in((await self._visible(who, draft)).draft)
        if email is None:
            raise HTTPException(404)
        headers = {"Content-Disposition": f'attachment; filename="{ids.show("emails", email)}.eml"'}
        return Response(await letter.file_of(self._db, who.who, email), 200, headers, "message/rfc822")

    async def send(self, request: Request, who: Session) -> Response:
        """Queue an approved e-mail that was not sent."""
        draft = _draft_in(request)
        email = letter.email_in((await self._visible(who, draft)).draft)
        if email is None:
            raise HTTPException(404)
        if await letter.send(self._db, who.who, draft, email):
            return RedirectResponse(_address(draft), 303)
        problem = "Only what was not sent can be sent now, by somebody who may approve and send e-mail."
        return await self._draft(who, draft, status=409, problem=problem)

    async def approve(self, request: Request, who: Session) -> Response:
        draft, seen = _draft_in(request), request.state.form.get("hash", "")[:200]
        try:
            outcome = await self._executor.approve(who.who, draft, seen)
        except Refusal as no:
            return await self._refused(who, draft, no)
        return _decided(draft, outcome)

    async def reject(self, request: Request, who: Session) -> Response:
        draft = _draft_in(request)
        reason, wrong = reason_of(request.state.form)
        if wrong is not None:
            return await self._draft(who, draft, status=422, reason=reason, reason_problem=wrong)
        try:
            outcome = await self._executor.reject(who.who, draft, reason)
        except Refusal as no:
            return await self._refused(who, draft, no)
        return _decided(draft, outcome)

    async def discard(self, request: Request, who: Session) -> Response:
        draft = _draft_in(request)
        if await self._executor.discard(who.who, draft):
            return RedirectResponse(_address(draft), 303)
        problem = "Only whoever drafted it can withdraw it, and only while it waits."
        return await self._draft(who, draft, status=409, problem=problem)

    async def group(self, request: Request, who: Session) -> Response:
        """Show a run of e-mails, each by the approver's own run of it."""
        return await self._group(who, _draft_in(request))

    async def _group(
        self,
        who: Session,
        draft: int,
        *,
        status: int = 200,
        problem: str | None = None,
        results: dict[str, str] | None = None,
    ) -> Response:
        numbers = (
            [ids.parse("drafts", each) for each in results]
            if results
            else await group.members(self._db, who.who, draft)
        )
        if not numbers:
            raise HTTPException(404)
        now = datetime.now(UTC)
        letters = [draft_of(await self._visible(who, number), [], who.who, now) for number in numbers]
        can = [seen for seen in letters if seen.is_waiting and seen.hash and not seen.stale and not seen.may_not]
        return page("group.html", who, status=status, letters=letters, can=can, problem=problem, results=results)

    async def approve_group(self, request: Request, who: Session) -> Response:
        """Approve each e-mail that was shown, if their number was confirmed; each stands for itself."""
        draft, form = _draft_in(request), request.state.form
        seen = group.seen_in(form.get("seen", "")[: 100 * group.MOST])
        if seen is None:
            raise HTTPException(400)
        if form.get("count", "").strip() != str(len(seen)):
            problem = "The number you gave is not the number of e-mails here. Read them again."
            return await self._group(who, draft, status=422, problem=problem)
        results: dict[str, str] = {}
        for number, shown_hash in seen.items():
            try:
                results[ids.show("drafts", number)] = (
                    await self._executor.approve(who.who, number, shown_hash)
                ).state
            except Refusal as no:
                results[ids.show("drafts", number)] = no.hint
        return await self._group(who, draft, results=results)

    async def undo(self, request: Request, who: Session) -> Response:
        """Draft the undo of an approved draft, and show it."""
        draft = _draft_in(request)
        await self._visible(who, draft)
        reason, wrong = reason_of(request.state.form)
        if wrong is not None:
            return await self._draft(who, draft, status=422, reason=reason, reason_problem=wrong)
        try:
            return RedirectResponse(_address(await undo.propose(self._db, who.who, draft, reason)), 303)
        except Refusal as no:
            return await self._refused(who, draft, no)

    async def _refused(self, who: Session, draft: int, no: Refusal) -> Response:
        """Show the draft anew, with why nothing was done."""
        if no.error == "NOT_FOUND":
            raise HTTPException(404)
        return await self._draft(who, draft, status=STATUS.get(no.error, 409), problem=no.hint)


def _draft_in(request: Request) -> int:
    try:
        return ids.parse("drafts", request.path_params["draft"])
    except Refusal:
        raise HTTPException(404) from None


def _address(draft: int) -> str:
    return f"/drafts/{ids.show('drafts', draft)}"


def _decided(draft: int, outcome: Outcome) -> Response:
    """Go back to the draft, which now says how it was decided, by whom, and what was done."""
    return RedirectResponse(_address(draft) + ("" if outcome.won else f"?{LATE}=1"), 303)
