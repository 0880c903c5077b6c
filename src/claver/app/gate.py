"""The door: who may come in, by which paths, with how much; what leaves says that nothing outside is to be loaded.

Gradio serves more than this page needs: files by path, addresses it fetches for others, monitoring. What the page and
its API use is listed here, and all else is refused before Gradio hears of it.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PAGE = r"/|/config/?|/theme\.css|/assets/.+|/static/.+|/favicon\.ico|/manifest\.json|/robots\.txt|/pwa_icon(/\d+)?"
_OURS = r"/healthz|/media/[\w-]+"
_API = r"info|app_id|startup-events|upload_progress|heartbeat/\w+|queue/(join|data)|cancel|reset|upload|openapi\.json"
_CALLS = r"(call|run)/[\w/-]+|stream/\w+(/close)?"
_OPEN = re.compile(rf"({_PAGE}|{_OURS}|/gradio_api/({_API}|{_CALLS})/?)")
_FILE = "/gradio_api/file="
_BODY_BYTES = 4 * 2**20
"""Of a request that uploads no file: a picture of a webcam, and words."""
_LOCAL_HOSTS = frozenset(["localhost", "127.0.0.1", "[::1]"])
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.I)

# The page is one script of Gradio's with templates that it evaluates, and styles within elements; all of it from here.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "frame-src 'none'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


class _RefusedError(Exception):
    """A request that is not let in: its status, and why, in a sentence."""

    def __init__(self, status: int, why: str, **headers: str) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers


@dataclass
class Gate:
    """Wraps the whole application.

    Attributes:
        app: what is behind the door.
        password: that everybody must give, with any name; None for an open door.
        local: whether only this machine is meant: then only its own names are answered to, so that no page of the
            internet can reach it by a name that leads here.
        uploads: where Gradio stores uploads for a moment. A clip of the camera is shown from there, under its hash; no
            other file is given out by its path.
        upload_bytes: of a file.
        has_room: whether so many bytes more may be stored.
    """

    app: App
    password: str | None
    local: bool
    uploads: str
    upload_bytes: int
    has_room: Callable[[int], bool] = lambda more: True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise _RefusedError(403, "this page uses no such connection")
            receive = await self._admitted(scope, receive)
        except _RefusedError as refused:
            await _answer(send, refused)
            return
        await self.app(scope, receive, _adding_headers(send))

    async def _admitted(self, scope: Scope, receive: Receive) -> Receive:
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        path, method = scope["path"], scope["method"]
        if self.local and re.sub(r":\d+$", "", headers.get("host", "")).lower() not in _LOCAL_HOSTS:
            raise _RefusedError(403, "this page is for the machine that it runs on")
        if path != "/healthz":
            self._check_password(headers.get("authorization", ""))
        if not (_OPEN.fullmatch(path) or self._is_upload(path)):
            raise _RefusedError(404, "there is nothing of that name")
        if method in ("GET", "HEAD"):
            return receive
        # A page of another site may send requests here, with the password that the browser remembers.
        if (origin := headers.get("origin")) and origin.partition("://")[2] != headers.get("host"):
            raise _RefusedError(403, "requests from pages of other sites are not taken")
        if path.rstrip("/") == "/gradio_api/upload":
            self._check_upload(headers.get("content-length", ""))
            return receive
        return await _checked_body(receive)

    def _is_upload(self, path: str) -> bool:
        hash_and_name = path.removeprefix(f"{_FILE}{self.uploads}/")
        return hash_and_name != path and re.fullmatch(r"[0-9a-f]{64}/[^/]+", hash_and_name) is not None

    def _check_password(self, authorization: str) -> None:
        if self.password is None:
            return
        kind, _, code = authorization.partition(" ")
        try:
            given = b64decode(code, validate=True).partition(b":")[2] if kind.lower() == "basic" else b""
        except ValueError:  # no base64, or no ASCII
            given = b""
        if not secrets.compare_digest(given, self.password.encode()):
            raise _RefusedError(401, "a password is needed", **{"www-authenticate": 'Basic realm="claver"'})

    def _check_upload(self, length: str) -> None:
        if not length.isdecimal() or len(length) > 15:
            raise _RefusedError(411, "an upload must say how large it is")
        if int(length) > self.upload_bytes + 2**16:
            raise _RefusedError(
                413, f"the file is larger than the {self.upload_bytes / 2**20:.0f} MB that are taken here"
            )
        if not self.has_room(int(length)):
            raise _RefusedError(507, "too many files are stored here at the moment; try again later")


async def _checked_body(receive: Receive) -> Receive:
    """Read a body that is no upload, and give it out again, if it is small and names no address."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _RefusedError(400, "the request broke off")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _BODY_BYTES:
            raise _RefusedError(413, "the request is too large")
    _refuse_addresses(body)
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def _refuse_addresses(body: bytes) -> None:
    """Gradio would fetch the address of a file that is given as one."""
    try:
        rest: list[Any] = [json.loads(body)] if body else []
    except (ValueError, RecursionError):
        raise _RefusedError(400, "the request is not JSON") from None
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if isinstance(path := value.get("path"), str) and _ADDRESS.match(path):
                raise _RefusedError(403, "network addresses are not opened; upload the file itself")
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)


def _adding_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
            kept = [pair for pair in message["headers"] if pair[0].decode("latin-1").lower() not in _HEADERS]
            message["headers"] = [*kept, *own]
        await send(message)

    return sending


async def _answer(send: Send, refused: _RefusedError) -> None:
    body = (refused.why + "\n").encode()
    headers: Iterable[tuple[str, str]] = {
        **_HEADERS,
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        **refused.headers,
    }.items()
    encoded = [(key.encode(), value.encode()) for key, value in headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def authorization(password: str) -> str:
    """The header by which a program gives the password."""
    return "Basic " + b64encode(f"claver:{password}".encode()).decode()
