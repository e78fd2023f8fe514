"""A load-balanced worker of the standard library: `python http_pod.py` in the environment of a pod."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

STARTS = Path("starts")


class Pod(BaseHTTPRequestHandler):
    """Answers the health check, and every other path with the id of the pod and the number of its starts."""

    def do_GET(self) -> None:
        """Answer a request."""
        body = json.dumps({"pod": os.environ["RUNPOD_POD_ID"], "start": len(STARTS.read_text())}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    with STARTS.open("a") as starts:
        starts.write("x")
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Pod).serve_forever()
