"""Microsoft's addresses that Entra Connect needs, simulated: login, provisioning, a revocation list.

usage: python -m tests.microsoft_edges CERT KEY LOGIN PROVISIONING REVOCATION   (addresses; ports 443, 443, 80)

Not Microsoft, and labelled so in every answer.
"""

import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# path -> body; a revocation list is DER, of which the first byte matters here
ANSWERS = {
    "/common/v2.0/.well-known/openid-configuration": b'{"simulated": "microsoft"}',
    "/ProvisioningService.svc": b"simulated",
    "/DigiCertGlobalRootG2.crl": b"\x30\x82\x01\x00simulated",
}


class Edge(BaseHTTPRequestHandler):
    """Answers the known paths with 200, others with 404."""

    def do_GET(self) -> None:
        """Answer."""
        body = ANSWERS.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("X-Simulated", "microsoft")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    certificate, key, *addresses = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for address, port in zip(addresses, (443, 443, 80), strict=True):
        server = ThreadingHTTPServer((address, port), Edge)
        if port == 443:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
