"""A stand-in for Azure's Logs Ingestion API on loopback: takes batches of lines as the service does, and refuses them on demand."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MEGABYTE = 1_000_000
TOKEN = "a-token-of-the-stand-in"
PATH = "/dataCollectionRules/dcr-1/streams/Custom-TrebleLogs?api-version=2023-01-01"


class Sink:
    """What arrived, and what was refused for good."""

    def __init__(self):
        self.lines, self.refused, self.odd = [], 0, []
        self.answers, self.faults = [], []
        self.lock = threading.Lock()
        self.server, self.port = None, 0

    def start(self):
        """Listens, on the same port as before if there was one."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = sink.judge(self.path, self.headers, body)
                self.send_response(code)
                if code == 429:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def judge(self, path, headers, body):
        """The answer to a batch."""
        with self.lock:
            code = self.answer(path, headers, body)
            self.answers.append(code)
            return code

    def answer(self, path, headers, body):
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401
        if path != PATH or headers.get("Content-Type") != "application/json":
            self.odd.append(f"{path} {headers.get('Content-Type')}")
            return 400
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        lines = json.loads(body)
        if len(body) > MEGABYTE:
            self.refused += len(lines)
            return 413
        fault = self.faults.pop(0) if self.faults else None
        if fault == 413:
            self.refused += len(lines)
        if fault is None:
            self.lines += lines
        return fault or 204
