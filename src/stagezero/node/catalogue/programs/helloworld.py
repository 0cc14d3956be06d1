"""Knative's hello-world sample: answers `Hello $TARGET!` on $PORT, on every path and method.

Standard library only, so that its environment is an interpreter and nothing more. Ends on SIGTERM
once the requests under way are answered, and logs as the original does, to standard error.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def log(message: str) -> None:
    """Print a line with date and time in front, as Go's logger does."""
    sys.stderr.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {message}\n")


class Hello(BaseHTTPRequestHandler):
    """Greets the target."""

    protocol_version = "HTTP/1.1"
    # A peer that stays silent must not hold up the end of the program for longer than this.
    timeout = 60
    disable_nagle_algorithm = True

    server: "Server"

    def answer(self) -> None:
        """Greet; the server does not end in between."""
        with self.server.request_under_way():
            self.greet()

    def greet(self) -> None:
        """Read the body away, so that the connection can be used again, and write the greeting."""
        log("helloworld: received a request")
        self.skip_body()
        greeting = f"Hello {os.environ.get('TARGET') or 'World'}!\n".encode()
        self.send_response_only(200)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", str(len(greeting)))
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(greeting)

    def skip_body(self) -> None:
        """Drop the body; one of unknown length ends the connection after the answer."""
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (chunk := self.rfile.read(min(left, 1 << 16))):
            left -= len(chunk)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer


class Server(ThreadingHTTPServer):
    """Waits for answers under way when it closes, but not for idle connections."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int) -> None:
        super().__init__((os.environ.get("STAGEZERO_LISTEN_HOST", "0.0.0.0"), port), Hello)
        self._under_way = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def request_under_way(self) -> Iterator[None]:
        """Count a request for as long as it is being answered."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def drain(self, timeout_s: float) -> None:
        """Wait until every request under way is answered."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0, timeout_s)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    log("helloworld: starting server...")
    port = os.environ.get("PORT") or "8080"
    server = Server(int(port))
    log(f"helloworld: listening on port {port}")

    def stop(_signal: int, _frame: object) -> None:
        # shutdown() waits for the loop that this very handler interrupts, hence the thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.1)
    server.socket.close()
    server.drain(timeout_s=25)


if __name__ == "__main__":
    main()
