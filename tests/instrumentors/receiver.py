"""An OTLP/HTTP receiver on the loopback that keeps the export requests as they came."""

import gzip
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


class Receiver:
    """`with Receiver() as receiver:`; `exports` are the protobuf bodies in order of arrival."""

    def __init__(self) -> None:
        self.exports: list[bytes] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def keep(self, path: Path) -> None:
        """Write the exports as the Collector's file exporter does (`format: proto`), packed."""
        framed = b"".join(struct.pack(">I", len(body)) + body for body in self.exports)
        path.write_bytes(gzip.compress(framed, mtime=0))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exports = self.exports

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    exports.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
