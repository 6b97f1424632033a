"""A collector of OpenTelemetry that records: what it is sent is decoded with OpenTelemetry's own
definitions, so that it says what others would read.
"""

import contextlib
import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from wire import PATIENCE

KINDS = {Span.SPAN_KIND_SERVER: "server", Span.SPAN_KIND_CLIENT: "client"}


class Recorded:
    """One span with what the resource around it says."""

    def __init__(self, span, resource, scope):
        self.trace = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.state = span.trace_state
        self.name = span.name
        self.kind = KINDS[span.kind]
        self.start = span.start_time_unix_nano / 1e9
        self.seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        self.flags = span.flags
        self.failed = span.status.code == 2
        self.attributes = values(span.attributes)
        self.resource = values(resource.attributes)
        self.service = self.resource["service.name"]
        self.scope = (scope.name, scope.version)

    def __getitem__(self, name):
        return self.attributes.get(name)

    def __repr__(self):
        return f"{self.service} {self.kind} {self.name} {self.attributes}"


def values(pairs):
    found = {p.key: getattr(p.value, p.value.WhichOneof("value")) for p in pairs}
    assert len(found) == len(pairs), "an attribute came twice"
    return found


class Collector:
    """Answers 200, or what `script` says next: (status, headers, seconds to wait before)."""

    def __init__(self, port=0):
        self.spans, self.requests, self.script = [], [], []
        self.lock = threading.Lock()
        self.partial = None
        self.answering = lambda: None  # what stands before every answer
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(self, body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def take(self, handler, body):
        with self.lock:
            status, headers, seconds = self.script.pop(0) if self.script else (200, {}, 0)
            self.requests.append((handler.path, dict(handler.headers), status, time.monotonic()))
        time.sleep(seconds)
        self.answering()
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer = ExportTraceServiceResponse()
        if status == 200:
            self.record(body)
            if self.partial:
                answer.partial_success.rejected_spans, answer.partial_success.error_message = (
                    self.partial
                )
        text = answer.SerializeToString()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/x-protobuf")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        with contextlib.suppress(OSError):  # who has waited long enough is gone
            handler.wfile.write(text)

    def record(self, body):
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            for group in request.resource_spans:
                for scope in group.scope_spans:
                    self.spans += [Recorded(s, group.resource, scope.scope) for s in scope.spans]

    def of(self, trace):
        """The spans of a trace so far, the earliest first."""
        with self.lock:
            return sorted(
                (s for s in self.spans if s.trace == trace),
                key=lambda s: (s.start, s.kind == "client"),
            )

    def wait(self, trace, count, seconds=PATIENCE):
        """The spans of a trace, once there are so many."""
        end = time.monotonic() + seconds
        while len(self.of(trace)) < count:
            assert time.monotonic() < end, f"{len(self.of(trace))} of {count} spans: {self.spans}"
            time.sleep(0.05)
        return self.of(trace)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
