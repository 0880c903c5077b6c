"""An OpenAI-compatible server over a real socket that answers well, late, brokenly or not at all, as it is told."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server does with a request: waits, then answers, or hangs up before or in the middle of the answer."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False
    kind: str = "application/json"


@dataclass
class Asked:
    """A request as it came; names of headers in lower case."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    time: float

    @property
    def concept(self) -> str:
        """The action, and what follows it when it is asked for again."""
        if "messages" in self.body:
            return str(self.body["messages"][-1]["content"]).rpartition("\n\n")[2]
        return str(self.body["prompt"]).rpartition("Action: ")[2].removesuffix("\nText:")

    @property
    def action(self) -> str:
        return self.concept.partition(" (in other words")[0]


Behaviour = Callable[[int, Asked], Reply]


class Server:
    """Its address, what it was asked, and how many requests were under way at once at most."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave, self.asked, self.peak = behave, list[Asked](), 0
        self._under_way, self._lock = 0, threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.enter(self, Asked(self.path, body, headers, time.monotonic()))

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def enter(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
        try:
            self._answer(handler, self.behave(number, asked))
        except ConnectionError:  # who asked was killed or had waited long enough
            handler.close_connection = True
        finally:
            with self._lock:
                self._under_way -= 1

    def _answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.delay)
        if reply.hang_up:
            handler.close_connection = True
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in {"Content-Type": reply.kind, "Content-Length": str(len(content)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=lambda: self._http.serve_forever(0.02), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()


@contextmanager
def serving(behave: Behaviour) -> Iterator[Server]:
    with Server(behave).running() as server:
        yield server


def said(asked: Asked, text: str | None, *, usage: tuple[int, int] | None = (50, 10), end: str = "stop") -> Reply:
    """A well-formed answer to a request, of the endpoint it came to."""
    message = {"message": {"role": "assistant", "content": text}} if "messages" in asked.body else {"text": text}
    body = {
        "id": "1",
        "object": "x",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": end, **message}],
    }
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return Reply(body)


def refused(status: int, message: str, **headers: str) -> Reply:
    return Reply({"error": {"message": message, "type": "x", "code": None}}, status, headers)


_LETTERS = ("".join(letters) for letters in itertools.product("bcdfghklmnprstvz", repeat=3))
_lock = threading.Lock()


def unlike() -> str:
    """Words that were never said before."""
    with _lock:
        return " ".join(f"{next(_LETTERS)}o" for _ in range(3))


def canned(asked: Asked) -> str:
    """A text about the action that asks for, in no way like another."""
    synonym = "synonym" in json.dumps(asked.body)
    return f"{asked.action} goes {unlike()}" if synonym else f"Whoever does {asked.action} will {unlike()}."


def well(_: int, asked: Asked) -> Reply:
    return said(asked, canned(asked))
