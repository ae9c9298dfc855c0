"""A webhook receiver: `python examples/receiver.py whsec_…` prints each new event once. It only needs `redial_client`.

Point an agent's `webhook_url` at it, or run `redial listen --forward http://127.0.0.1:8080` and pass the secret that it
prints.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redial_client.webhooks import WebhookVerificationError, verify

PORT = 8080


class Receiver(BaseHTTPRequestHandler):
    """Verifies each webhook and responds with 204: any 2xx within 10 seconds accepts the event."""

    secret = ""
    processed: set[str] = set()  # noqa: RUF012  shared by all requests; keep it in your database

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            event = verify(self.secret, dict(self.headers), body)
        except WebhookVerificationError as error:
            return self.answer(400, f"refused: {error}")
        webhook_id = self.headers["webhook-id"]
        if webhook_id in self.processed:
            return self.answer(204, f"again: {webhook_id}")
        self.processed.add(webhook_id)  # first store the id, then act on the event
        self.answer(204, f"{event['type']}: {webhook_id}")

    def answer(self, status: int, line: str) -> None:
        print(line, flush=True)
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


def main(secret: str, port: int = PORT) -> None:
    """Receive until Ctrl-C. Port 0 selects a free one."""
    Receiver.secret = secret
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"Receiving at http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python examples/receiver.py whsec_… [port]")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else PORT)
