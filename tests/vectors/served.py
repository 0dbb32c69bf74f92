"""An endpoint that speaks OpenAI's embeddings, in a thread of its own: for programs that run loops of their own."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from crm_mcp.embedding.ngrams import vector


class Served:
    def __init__(self):
        self.dimensions, self.is_away, self.asked, self.url = 8, False, [], ""
        self.end = lambda: None

    def vector(self, text):
        places = vector(text)
        return [sum(places[at :: self.dimensions]) for at in range(self.dimensions)]


@contextmanager
def serving(port=0):
    """Serve until left; the port may be one that was served before."""
    made = Served()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            made.asked.append(body["input"])
            rows = [{"index": at, "embedding": made.vector(text)} for at, text in enumerate(body["input"])]
            content = json.dumps({"data": rows}).encode()
            self.send_response(503 if made.is_away else 200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        open_now: ClassVar[set[socket.socket]] = set()

        def process_request(self, request, client_address):
            self.open_now.add(request)
            super().process_request(request, client_address)

        def handle_error(self, request, client_address):
            """Say nothing: a client left."""

    def end():
        """End as a killed server does: the port refuses, and connections that stand are cut."""
        server.shutdown()
        server.server_close()
        for one in Server.open_now:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    server = Server(("127.0.0.1", port), Answer)
    made.end = end
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        end()
        thread.join()
