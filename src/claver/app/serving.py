"""Serving: Gradio's application and our few routes behind the gate, on a port that is told before it answers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from claver import __version__
from claver.app.gate import App, Gate
from claver.app.uploads import Served, stored_bytes, sweep
from claver.closing import Closing
from claver.errors import ClaverError

if TYPE_CHECKING:
    from claver.app.service import Service

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7860
_SWEEP_SECONDS = 20.0


def check_gradio() -> None:
    """Raise `ClaverError` where Gradio is missing or too old."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("gradio")
    except PackageNotFoundError:
        raise ClaverError("the page needs Gradio: pip install 'claver[app]'") from None
    if tuple(int(part) for part in found.split(".")[:2]) < (6, 6):
        raise ClaverError(f"the page needs Gradio 6.6 or newer, not {found}: pip install 'claver[app]'")


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of this process alone, for files of visitors; deleted at the end. Gradio stores uploads below it.

    To be entered before Gradio is imported: it is told by the environment, as that it is to send nothing to anybody.
    """
    with TemporaryDirectory(prefix="claver-app-", ignore_cleanup_errors=True) as name:
        own = {"GRADIO_TEMP_DIR": str(Path(name, "uploads")), "GRADIO_ANALYTICS_ENABLED": "False"}
        own |= {"HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_RUN_HISTORY": "False", "GRADIO_SHARE": "False"}
        before = {key: os.environ.get(key) for key in own}
        os.environ.update(own)
        try:
            for part in ("uploads", "visitors"):
                Path(name, part).mkdir(mode=0o700)
            yield Path(name)
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value


def is_local(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def application(service: Service, folder: Path, *, password: str | None, local: bool) -> App:
    """Everything that is served, behind the gate."""
    import gradio
    from fastapi import FastAPI, Response
    from fastapi.responses import FileResponse

    from claver.app.page import build, looks

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @outer.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @outer.api_route("/media/{key}", methods=["GET", "HEAD"])
    def media(key: str) -> Response:
        served = service.visitors.served(key)
        if served is None:
            return Response("it was deleted here", 404, media_type="text/plain")
        try:
            return _response(served, FileResponse, Response)
        except ClaverError as error:
            return Response(str(error), 410, media_type="text/plain; charset=utf-8")

    blocks = build(service)
    settings: dict[str, Any] = {"ssr_mode": False, "enable_monitoring": False, "run_history": False, "pwa": False}
    settings |= {"allowed_paths": [], "blocked_paths": [], "footer_links": ["api"], "show_error": False}
    settings |= {"max_file_size": service.limits.upload_bytes, "mcp_server": False, **looks()}
    gradio.mount_gradio_app(outer, blocks, "/", **settings)

    def has_room(more: int) -> bool:
        return stored_bytes(folder) + more <= service.limits.stored_bytes

    return Gate(outer, password, local, str(folder / "uploads"), service.limits.upload_bytes, has_room)


def _response(served: Served, file_response: Any, response: Any) -> Any:
    own = {"cache-control": "no-store"}
    path = served.path if served.make is None else served.make()
    if path is not None:
        return file_response(path, media_type=served.media_type, filename=served.download, headers=own)
    assert served.text is not None
    content = served.text().encode("utf-8", "surrogateescape")
    if served.download is not None:
        own["content-disposition"] = f"attachment; filename*=utf-8''{_quoted(served.download)}"
    return response(content, media_type=served.media_type, headers=own)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name.encode("utf-8", "surrogateescape"), safe="")


class Server(Closing):
    """Serves in a thread of its own until it is closed.

    Args:
        app: what is served.
        host: address or name to listen on.
        port: 0 for any that is free.

    Raises:
        ClaverError: it cannot listen there.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        import uvicorn

        self._socket = _listening(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2, lifespan="on"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.02)
        if not self._server.started:
            raise ClaverError("the page could not start; --verbose tells more")

    @property
    def address(self) -> str:
        """Where a browser of this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}/"

    def wait(self) -> None:
        """Until it ends."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def close(self) -> None:
        """Stop serving; requests that go on are broken off after two seconds."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(kind, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClaverError(
            f"cannot listen on {host} port {port} ({reason}); choose another by --host and --port"
        ) from error
    return found


class Sweeper(Closing):
    """A thread that deletes what is left over: uploads that were taken over, and visitors who are gone for long."""

    def __init__(self, service: Service, uploads: Path, pause: Callable[[float], object] | None = None) -> None:
        self._service, self._uploads, self._ended = service, uploads, threading.Event()
        self._pause = pause or self._ended.wait
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._ended.is_set():
            sweep(self._uploads)
            self._service.visitors.forget_idle()
            self._pause(_SWEEP_SECONDS)

    def close(self) -> None:
        """End it."""
        self._ended.set()


@contextmanager
def serving(service: Service, folder: Path, host: str, port: int, password: str | None) -> Iterator[Server]:
    """The page is served as long as the context lasts.

    Args:
        service: what it can do.
        folder: of `private_folder`.
        host: address or name to listen on.
        port: 0 for any that is free.
        password: that visitors must give; None for no password.
    """
    app = application(service, folder, password=password, local=is_local(host))
    with service, Sweeper(service, folder / "uploads"), Server(app, host, port) as server:
        yield server
