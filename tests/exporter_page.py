"""A windows_exporter, simulated: shows a file, with a Date of the tests' own.

usage: python -m tests.exporter_page ADDRESS PORT FILE
"""

import sys
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.probes.adsync_pages import NOW

FILE = Path(sys.argv[3]) if len(sys.argv) > 3 else Path()


class Page(BaseHTTPRequestHandler):
    """Answers every GET with the file as it is now."""

    def do_GET(self) -> None:
        """Answer."""
        body = FILE.read_bytes()
        self.send_response_only(200)
        self.send_header("Date", formatdate(NOW, usegmt=True))
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


if __name__ == "__main__":
    HTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
