"""The door: what is refused before Gradio hears of it."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.app.conftest import served

from claver.app.gate import POLICY, Gate, authorization
from claver.app.serving import Server

HOST = {"host": "127.0.0.1:7860"}


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body that it got."""
    body = b""
    if scope["method"] == "POST":
        body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def ask(gate: Gate, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an answer."""
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body or b"", "more_body": False}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    given = {**HOST, **{key.replace("_", "-"): value for key, value in headers.items()}}
    pairs = [(key.encode(), value.encode()) for key, value in given.items()]
    method = "GET" if body is None else "POST"
    asyncio.run(gate({"type": "http", "path": path, "method": method, "headers": pairs}, receive, send))
    answered = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:]), answered


def gate(**changes: Any) -> Gate:
    settings: dict[str, Any] = {"password": None, "local": True, "uploads": "/tmp/uploads", "upload_bytes": 2**20}
    return Gate(inner, **settings | changes)


@pytest.mark.parametrize("path", ["/", "/config", "/assets/index.js", "/healthz", "/media/abc-_1", "/gradio_api/info"])
def test_what_the_page_uses_is_open(path: str) -> None:
    status, _, headers = ask(gate(), path)
    assert status == 200
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=/tmp/uploads/../../etc/passwd",
        "/gradio_api/file=https://example.org/x",
        "/gradio_api/proxy=https://example.org/x",
        "/monitoring",
        "/gradio_api/vibe-code/",
        "/gradio_api/dev/reload",
        "/media/../healthz",
        "/docs",
    ],
)
def test_all_else_is_refused(path: str) -> None:
    status, body, headers = ask(gate(), path)
    assert (status, body) == (404, b"there is nothing of that name\n")
    assert headers["content-security-policy"] == POLICY


def test_a_password_is_asked_for_everywhere_but_for_the_sign_of_life() -> None:
    closed = gate(password="sésame")
    assert ask(closed, "/healthz")[0] == 200
    for wrong in ("", "Basic", "Basic !!", "Basic éé", authorization("sesame"), "Bearer x"):
        status, _, headers = ask(closed, "/", authorization=wrong)
        assert (status, headers["www-authenticate"]) == (401, 'Basic realm="claver"')
    assert ask(closed, "/", authorization=authorization("sésame"))[0] == 200


def test_a_local_page_answers_to_its_own_names_alone() -> None:
    assert ask(gate(), "/", host="evil.example:7860")[0] == 403
    assert ask(gate(), "/", host="localhost:7860")[0] == 200
    assert ask(gate(), "/", host="[::1]:7860")[0] == 200
    assert ask(gate(local=False), "/", host="video.example")[0] == 200


def test_pages_of_other_sites_cannot_send_requests() -> None:
    assert ask(gate(), "/gradio_api/queue/join", b"{}", origin="https://evil.example")[0] == 403
    assert ask(gate(), "/gradio_api/queue/join", b"{}", origin="http://127.0.0.1:7860")[0] == 200


def test_bodies_are_small_json_that_names_no_address() -> None:
    own = json.dumps({"data": [{"path": "/tmp/uploads/a/clip.mp4", "url": "http://127.0.0.1/x"}, "a://b, c"]}).encode()
    assert ask(gate(), "/gradio_api/queue/join", own)[:2] == (200, own)
    for body, status in (
        (json.dumps({"data": [[{"path": "http://10.0.0.1/x"}]]}).encode(), 403),
        (json.dumps({"data": [{"path": "FTP://x"}]}).encode(), 403),
        (b"no json", 400),
        (b"[" * 100_000, 400),
        (b'"' + b"x" * 2**23 + b'"', 413),
    ):
        assert ask(gate(), "/gradio_api/queue/join", body)[0] == status


def test_uploads_say_how_large_they_are_and_must_find_room() -> None:
    assert ask(gate(), "/gradio_api/upload", b"")[0] == 411
    assert ask(gate(), "/gradio_api/upload", b"", content_length=str(2**21))[0] == 413
    assert ask(gate(), "/gradio_api/upload", b"", content_length=str(2**19))[0] == 200
    assert ask(gate(has_room=lambda more: False), "/gradio_api/upload", b"", content_length="5")[0] == 507


def test_an_upload_is_shown_under_its_hash_alone() -> None:
    assert ask(gate(), f"/gradio_api/file=/tmp/uploads/{'a' * 64}/clip.webm")[0] == 200
    assert ask(gate(), f"/gradio_api/file=/tmp/uploads/{'a' * 64}/../clip.webm")[0] == 404
    assert ask(gate(), "/gradio_api/file=/tmp/uploads/tmpabc")[0] == 404


@pytest.fixture(scope="module")
def closed() -> Iterator[Server]:
    with served(password="secret") as running:
        yield running


def fetch(server: Server, path: str, password: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(server.address + path)
    if password is not None:
        request.add_header("Authorization", authorization(password))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_the_served_page_is_behind_the_door_and_loads_nothing_from_outside(closed: Server) -> None:
    assert fetch(closed, "healthz")[0] == 200
    assert json.loads(fetch(closed, "healthz")[1])["status"] == "ok"
    for path in ("", "config", "theme.css", "gradio_api/info"):
        assert fetch(closed, path)[0] == 401
        assert fetch(closed, path, "wrong")[0] == 401
        assert fetch(closed, path, "secret")[0] == 200
    for path in ("", "theme.css"):
        page = fetch(closed, path, "secret")[1]
        for outside in ("fonts.googleapis", "fonts.gstatic", "cdn.", "cdnjs", "unpkg", "jsdelivr", "huggingface.co"):
            assert outside not in page, outside
    config = json.loads(fetch(closed, "config", "secret")[1])
    assert config["analytics_enabled"] is False
    assert "claver-app-" not in json.dumps(config)
