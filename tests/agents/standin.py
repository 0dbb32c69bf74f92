"""A scripted stand-in for the Messages API: the model behind the real SDK, over HTTP, with nothing else changed.

A script is a generator for each conversation: it yields the model's turns and is sent the results of the tools that it
called. Which conversation a request belongs to is told by the system prompt, as for the real model.
"""

import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A tool the model calls."""

    name: str
    arguments: Mapping[str, Any]


class Garbage(NamedTuple):
    """A turn that is no answer: bytes sent as they are, with a status."""

    text: bytes
    status: int = 200


class Cut(NamedTuple):
    """A turn whose stream ends after some events, in the middle of a call."""

    call: Call
    events: int = 3


class Results(list[Any]):
    """What the tools answered, in the order of the calls: the structured body, else the text."""


Turn = str | Call | list[Call] | Garbage | Cut
Script = Generator[Turn, Results, str]
"""Yields turns and returns the last text."""


@dataclass
class Conversation:
    script: Script
    started: bool = False
    over: str | None = None
    held: Turn | None = None
    """A turn that was spoilt and is given again when the client asks again."""


@dataclass
class StandIn:
    """`scripts` maps a part of a system prompt to what makes its script, from the request's tools' names.

    `port` may be one that was served before; 0: any.
    """

    scripts: Mapping[str, Callable[[list[str]], Script]]
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    problems: list[BaseException] = field(default_factory=list[BaseException])
    _open: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __enter__(self) -> str:
        standing = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *parts: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self._json({})

            def do_GET(self) -> None:
                self._json({"data": [], "has_more": False})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                if "count_tokens" in self.path:
                    self._json({"input_tokens": 10})
                elif not self.path.startswith("/v1/messages"):
                    self._json({})
                else:
                    standing.answer(self, body)

            def _json(self, body: Any, status: int = 200) -> None:
                self.whole(json.dumps(body).encode(), status)

            def whole(self, text: bytes, status: int = 200, kind: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Answers)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *whoever: None  # a client that went away is no news
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, wire: Any, body: dict[str, Any]) -> None:
        with self._turn:
            self.requests.append(body)
            try:
                turn = self._next(body)
            except BaseException as problem:
                self.problems.append(problem)
                turn = f"The script failed: {problem!r}"
        if isinstance(turn, Garbage):
            wire.whole(turn.text, turn.status, "text/event-stream" if body.get("stream") else "application/json")
            return
        blocks = self._blocks(turn)
        stop = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
        message = {
            "id": f"msg_{next(self._ids):06d}", "type": "message", "role": "assistant", "content": blocks,
            "model": body.get("model", "stand-in"), "stop_reason": stop, "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip
        if not body.get("stream"):
            wire.whole(json.dumps(message).encode())
            return
        wire.send_response(200)
        wire.send_header("content-type", "text/event-stream")
        wire.send_header("connection", "close")
        wire.end_headers()
        most = turn.events if isinstance(turn, Cut) else None
        for place, (name, data) in enumerate(_events(message)):
            if most is not None and place >= most:
                break
            wire.wfile.write(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode())
        wire.wfile.flush()
        wire.close_connection = True

    def _next(self, body: dict[str, Any]) -> Turn:
        system = _text(body.get("system", ""))
        mark = next((mark for mark in self.scripts if mark in system), None)
        if mark is None or not body.get("tools"):
            return "ok"
        known = self._open.get(mark)
        if known is None:
            known = Conversation(self.scripts[mark]([tool["name"] for tool in body["tools"]]))
            self._open[mark] = known
        if known.over is not None:
            return known.over
        if known.held is not None:
            turn, known.held = known.held, None
            return turn
        try:
            turn = known.script.send(_results(body)) if known.started else next(known.script)
        except StopIteration as end:
            known.over = end.value
            return end.value
        known.started = True
        if isinstance(turn, Cut):
            known.held = turn.call
        return turn

    def _blocks(self, turn: Turn) -> list[dict[str, Any]]:
        if isinstance(turn, str):
            return [{"type": "text", "text": turn}]
        calls = turn if isinstance(turn, list) else [turn.call if isinstance(turn, Cut) else turn]
        return [
            {
                "type": "tool_use",
                "id": f"toolu_{next(self._ids):06d}",
                "name": call.name,
                "input": dict(call.arguments),
            }
            for call in calls
            if isinstance(call, Call)
        ]


def _events(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "message_start", {"message": {**message, "content": [], "stop_reason": None}}
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            yield "content_block_start", {"index": index, "content_block": {"type": "text", "text": ""}}
            part = {"type": "text_delta", "text": block["text"]}
        else:
            yield "content_block_start", {"index": index, "content_block": {**block, "input": {}}}
            part = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield "content_block_delta", {"index": index, "delta": part}
        yield "content_block_stop", {"index": index}
    yield (
        "message_delta",
        {"delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": 1}},
    )
    yield "message_stop", {}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def _results(body: dict[str, Any]) -> Results:
    """Return the results in the user's newest message, as the model sees them."""
    found = Results()
    newest = next(message for message in reversed(body["messages"]) if message["role"] == "user")
    for part in newest["content"]:
        if isinstance(part, dict) and part.get("type") == "tool_result":
            text = _text(part.get("content", ""))
            try:
                found.append(json.JSONDecoder().raw_decode(text)[0])  # the client puts reminders of its own behind it
            except ValueError:
                found.append(text)
    return found
