"""A scripted stand-in for a chat-completions API, streamed as OpenAI and those like it do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standin import Call, Garbage

Turn = str | Call | Garbage


class ChatStandIn:
    """Gives its turns in their order, whoever asks; `requests` are what was asked. `port` 0: any."""

    def __init__(self, *turns: Turn, counts: bool = True, port: int = 0) -> None:
        self._turns, self._counts, self._port = list(turns), counts, port
        self.requests: list[dict[str, Any]] = []

    def __enter__(self) -> str:
        standing = self

        class Answers(BaseHTTPRequestHandler):
            def log_message(self, *parts: Any) -> None:
                pass

            def do_POST(self) -> None:
                standing.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                turn = standing._turns.pop(0)
                if isinstance(turn, Garbage):
                    kind, text, status = "application/json", turn.text, turn.status
                else:
                    kind, text, status = "text/event-stream", standing._streamed(turn), 200
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Answers)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _streamed(self, turn: str | Call) -> bytes:
        if isinstance(turn, str):
            half = len(turn) // 2
            deltas: list[dict[str, Any]] = [{"role": "assistant", "content": turn[:half]}, {"content": turn[half:]}]
            reason = "stop"
        else:
            function = {"name": turn.name, "arguments": json.dumps(turn.arguments)}
            called = {"index": 0, "id": f"call_{len(self.requests)}", "type": "function", "function": function}
            deltas, reason = [{"role": "assistant", "content": None, "tool_calls": [called]}], "tool_calls"
        about = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "a-model"}
        chunks = [{**about, "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas]
        chunks.append({**about, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if self._counts:
            usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
            chunks.append({**about, "choices": [], "usage": usage})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return ("".join(lines) + "data: [DONE]\n\n").encode()
