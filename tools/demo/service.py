#!/usr/bin/env python3
"""The two services of the demo, real HTTP servers of Python's standard library.

service.py prices PORT               knows what things cost
service.py shop PORT UPSTREAM_URL    asks prices through its sidecar, for every visitor
"""

import json
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PRICES = {"tea": 3, "cake": 5}


class Handler(BaseHTTPRequestHandler):
    """Answers in JSON over keep-alive connections."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: two would wait for each other's acknowledgement

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"healthy": True})
        else:
            self.serve()

    do_HEAD = do_GET

    def log_message(self, *_):
        """The demo prints its own lines."""


class Prices(Handler):
    """GET /tea"""

    def serve(self):
        item = self.path.strip("/")
        if item in PRICES:
            self.answer(200, {"item": item, "price": PRICES[item]})
        else:
            self.answer(404, {"error": f"no {item} here", "items": sorted(PRICES)})


class Shop(Handler):
    """GET /: what the sidecar lets us hear from prices."""

    upstream = ""

    def serve(self):
        try:
            with urllib.request.urlopen(f"{self.upstream}/tea", timeout=5) as answer:
                self.answer(200, {"shop": "open", "tea": json.load(answer)["price"]})
        except urllib.error.HTTPError as error:
            self.answer(502, {"shop": "closed", "prices": f"answered {error.code}"})
        except OSError as error:
            self.answer(502, {"shop": "closed", "prices": str(error)})


def main():
    kinds = {"prices": Prices, "shop": Shop}
    if len(sys.argv) < 3 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    Shop.upstream = sys.argv[3] if len(sys.argv) > 3 else ""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), kinds[sys.argv[1]])
    server.daemon_threads = True
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
