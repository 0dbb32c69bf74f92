"""Tasks as the protocol has them: the extension of 2026-07-28, and what 2025-11-25 had in its core.

In the extension (`io.modelcontextprotocol/tasks`, SEP-2663) the server decides: a client that takes tasks is answered at
once where the call is short, and with a task where it is not. In 2025-11-25 (SEP-1686) the client asks for one. The two do
not share a wire form; neither is spoken to a client of the other.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import mcp.types as t
from mcp import MCPError
from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .app import App
from .context import Reports
from .envelope import Envelope
from .errors import UnknownTool
from .standing import MembershipChanged
from .tasks import GRACE, LONG, POLL, Task, TaskNotFound

EXTENSION = "io.modelcontextprotocol/tasks"
CORE = "2025-11-25"
"""The only version whose core has tasks."""
CAPABILITY: Mapping[str, Any] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
"""What that version's server says of them."""
_RELATED = "io.modelcontextprotocol/related-task"
_MISSING_CAPABILITY = -32021
_GIVEN_UP = -32800
Context = ServerRequestContext[dict[str, Any]]
AppOf = Callable[[Context], App]


class OfTask(t.RequestParams):
    """Which task is meant."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)

    task_id: str


def takes_tasks(ctx: Context) -> bool:
    """Say whether this request's client takes a task instead of a result."""
    said = ctx.session.client_capabilities
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and bool(said and EXTENSION in (said.extensions or {}))


async def answered(app: App, name: str, arguments: Mapping[str, Any], progress: Reports) -> t.CallToolResult:
    """Answer a call of a tool that is long.

    Raises:
        MCPError: there is no such tool for the principal.
    """
    from .call import call

    try:
        answer = await call(app, name, arguments, progress)
    except UnknownTool:
        raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {name[:100]}") from None
    return result_of(answer)


def result_of(answer: Envelope, meta: dict[str, Any] | None = None) -> t.CallToolResult:
    """Return an answer in the protocol's form."""
    return t.CallToolResult(
        content=[t.TextContent(type="text", text=answer.text())],
        structured_content=answer.body,
        is_error=answer.is_error,
        _meta=meta,
    )


async def sooner_or_later(app: App, ctx: Context, name: str, arguments: Mapping[str, Any]) -> HandlerResult:
    """Answer a call at once where that is soon enough, else with the task that goes on."""
    who = await app.principal()
    tells = asyncio.Event()
    tells.set()

    async def tell(done: float, total: float, message: str) -> None:
        if tells.is_set():  # progress is told for as long as the request is open
            await ctx.session.report_progress(done, total, message)

    async def doing(progress: Reports) -> dict[str, Any]:
        async def both(done: float, total: float, message: str) -> None:
            await progress(done, total, message)
            await tell(done, total, message)

        return _dumped(await answered(app, name, arguments, both))

    task = app.tasks.start(who, None, doing)
    if task is None or task.work is None:
        return await answered(app, name, arguments, tell)
    try:
        await asyncio.wait({task.work}, timeout=GRACE)
    except asyncio.CancelledError:
        await app.tasks.cancel(task)
        app.tasks.drop(task)
        raise
    tells.clear()
    if task.work.done():
        app.tasks.drop(task)
        return await task.work
    return {"resultType": "task", **_of_extension(task)}


def add_to(server: Server[dict[str, Any]], app_of: AppOf) -> None:
    """Have a server speak of tasks in both eras."""

    async def get(ctx: Context, params: OfTask) -> dict[str, Any]:
        task = await _task(ctx, params)
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return _of_core(task)
        told = _of_extension(task)
        if task.status == "completed":
            told["result"] = task.result
        elif task.status == "failed":
            told["error"] = _error_of(task).error.model_dump(exclude_none=True)
        return told

    async def cancel(ctx: Context, params: OfTask) -> dict[str, Any]:
        task = await _task(ctx, params)
        is_core = ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS
        if is_core and task.status != "working":
            raise MCPError(t.INVALID_PARAMS, f"The task is {task.status} already.")
        await app_of(ctx).tasks.cancel(task)
        return _of_core(task) if is_core else {}

    async def update(ctx: Context, params: OfTask) -> dict[str, Any]:
        _only(ctx, is_core=False)
        await _task(ctx, params)
        return {}  # no task of ours asks anything, so no answer is due

    async def result(ctx: Context, params: OfTask) -> dict[str, Any]:
        _only(ctx, is_core=True)
        task = await _task(ctx, params)
        await task.over()
        if task.status == "cancelled":
            raise MCPError(_GIVEN_UP, "The task was cancelled.")
        if task.result is None:
            raise _error_of(task)
        return {**task.result, "_meta": {**task.result.get("_meta", {}), _RELATED: {"taskId": task.id}}}

    async def every(ctx: Context, params: t.PaginatedRequestParams) -> dict[str, Any]:
        _only(ctx, is_core=True)
        app = app_of(ctx)
        if params.cursor:
            raise MCPError(t.INVALID_PARAMS, "Invalid cursor")
        return {"tasks": [_of_core(task) for task in app.tasks.of(await app.principal())]}

    async def _task(ctx: Context, params: OfTask) -> Task:
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and not takes_tasks(ctx):
            needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise MCPError(_MISSING_CAPABILITY, "Missing required client capability", data=needed)
        return await _found(app_of(ctx), params.task_id)

    entry = server.get_request_handler("tools/call")
    assert entry is not None

    async def call(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        if params.name in LONG and takes_tasks(ctx):
            return await sooner_or_later(app_of(ctx), ctx, params.name, params.arguments or {})
        return await entry.handler(ctx, params)

    server.add_request_handler("tools/call", t.CallToolRequestParams, call)
    server.add_request_handler("tasks/get", OfTask, get)
    server.add_request_handler("tasks/cancel", OfTask, cancel)
    server.add_request_handler("tasks/update", OfTask, update)
    server.add_request_handler("tasks/result", OfTask, result)
    server.add_request_handler("tasks/list", t.PaginatedRequestParams, every)
    server.extensions[EXTENSION] = {}
    server.middleware.append(_of_the_core(app_of))


def _of_the_core(app_of: AppOf) -> ServerMiddleware[dict[str, Any]]:
    """Return what begins the tasks that clients of 2025-11-25 ask for.

    It stands before the SDK's handler, which knows no other result of a call than the tool's own on that wire.
    """

    async def begin(ctx: Context, call_next: CallNext) -> HandlerResult:
        raw = ctx.params or {}
        if ctx.method != "tools/call" or ctx.protocol_version != CORE or raw.get("task") is None:
            return await call_next(ctx)
        try:
            asked = t.CallToolRequestParams.model_validate(raw, by_name=False)
        except ValidationError:
            return await call_next(ctx)  # refused there, as any other
        return await _begun(app_of(ctx), asked)

    return begin


async def _begun(app: App, asked: t.CallToolRequestParams) -> dict[str, Any]:
    who = await app.principal()
    try:
        app.catalog.find(asked.name, who)
    except UnknownTool:
        raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {asked.name[:100]}") from None
    if asked.name not in LONG:
        raise MCPError(t.METHOD_NOT_FOUND, f"{asked.name} does not run as a task; call it without.")
    ttl = asked.task.ttl if asked.task else None
    kept = timedelta(milliseconds=min(max(ttl, 0), 10**9)) if ttl is not None else None

    async def doing(progress: Reports) -> dict[str, Any]:
        return _dumped(await answered(app, asked.name, asked.arguments or {}, progress))

    task = app.tasks.start(who, kept, doing)
    if task is None:
        raise MCPError(t.INTERNAL_ERROR, "Too many tasks run. Wait for one, or cancel one, and ask again.")
    return {"task": _of_core(task)}


async def _found(app: App, identity: str) -> Task:
    """Return a task of the principal, whose rights are asked for first: a result goes to nobody who lost them.

    Raises:
        MCPError: there is none that is theirs.
    """
    who = await app.principal()
    try:
        await (await app.db()).one(who, "select 1", {}, None, app.client.seen)
    except MembershipChanged:
        await app.renew_principal()
        who = await app.principal()
    try:
        return app.tasks.find(who, identity)
    except TaskNotFound as no:
        raise MCPError(t.INVALID_PARAMS, no.hint) from None


def _only(ctx: Context, *, is_core: bool) -> None:
    """Refuse what the other era has, as a method that there is not."""
    if (ctx.protocol_version == CORE) is not is_core:
        raise MCPError(t.METHOD_NOT_FOUND, "Method not found", data=ctx.method)


def _of_extension(task: Task) -> dict[str, Any]:
    return {**_common(task), "ttlMs": _milliseconds(task.ttl), "pollIntervalMs": _milliseconds(POLL)}


def _of_core(task: Task) -> dict[str, Any]:
    """Return a task as 2025-11-25 has it; a result that is an error makes it failed there."""
    failed = {"status": "failed"} if task.result is not None and task.result.get("isError") else {}
    return {**_common(task), **failed, "ttl": _milliseconds(task.ttl), "pollInterval": _milliseconds(POLL)}


def _common(task: Task) -> dict[str, Any]:
    said = {"statusMessage": task.message} if task.message else {}
    return {
        "taskId": task.id,
        "status": task.status,
        **said,
        "createdAt": _iso(task.created),
        "lastUpdatedAt": _iso(task.updated),
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)


def _error_of(task: Task) -> MCPError:
    """Return the error of the protocol that a call met; a crash says nothing of itself."""
    if isinstance(task.problem, MCPError):
        return task.problem
    return MCPError(t.INTERNAL_ERROR, "Something went wrong on our side; see the server's log.")


def _dumped(result: t.CallToolResult) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)
