"""A page that is served, and a browser that may not leave this machine."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.browser import find_chromium
from tests.tiny import talking_model
from tests.videos import write_ffv1, write_video

pytest.importorskip("gradio", reason="gradio (extra app) is not installed")

from claver.app.limits import Limits
from claver.app.root import Root
from claver.app.serving import Server, private_folder, serving
from claver.index import Hit, SearchResult
from claver.inference import Recognizer

ACTIONS = ("waves", "bows", "sits down")
LIMITS = Limits(upload_bytes=2**20, seconds=60, pixels=400_000, clips=3, decode_seconds=20, preview_side=160)


class StandIn:
    """Answers as an index of two files does, of which one is not below the open folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def search(self, query: Sequence[str], model: Any, *, top: int, negative: Sequence[str]) -> Any:
        scores = (-3.5, -1.0, -4.0) if query[0] == "nothing" else (3.5, 1.0, -1.0)
        places = ((str(self.folder / "clip.mp4"), 1.5, 2.5), ("/etc/hostname", 0.0, 1.0), ("/etc/hosts", 0.0, 1.0))
        hits = tuple(Hit(*place, score, 0.5) for place, score in zip(places, scores, strict=True))
        return SearchResult(tuple(query), hits[:top], 12)


@contextmanager
def served(
    root: Path | None = None, password: str | None = None, limits: Limits = LIMITS, index: Any = None
) -> Iterator[Server]:
    """The page with a small model, on a port of its own."""
    with private_folder() as folder:
        from claver.app.service import Service

        model = talking_model()
        usual = Recognizer(model, ACTIONS, cache=False)
        opened = None if root is None else Root(root)
        service = Service(model, usual, folder, model_name="a small model", root=opened, limits=limits, index=index)
        with serving(service, folder, "127.0.0.1", 0, password) as server:
            server.service, server.folder = service, folder  # type: ignore[attr-defined]
            yield server


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of several kinds: `clip.mp4`, `other.mp4`, `odd.mkv` that no browser plays, one with a hostile name."""
    folder = tmp_path_factory.mktemp("videos")
    for name, seed in (("clip.mp4", 1), ("other.mp4", 2), ("<img src=x onerror=document.title='hit'>.mp4", 3)):
        write_video(folder / name, frames=40, seed=seed)
    write_ffv1(folder / "odd.mkv", frames=30)
    return folder


@pytest.fixture(scope="session")
def server(videos: Path) -> Iterator[Server]:
    with served(videos) as running:
        yield running


@pytest.fixture(scope="module")  # as long as it is open asyncio counts as running in this thread, to other tests too
def browser() -> Iterator[Any]:
    program = find_chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright (extra test) is not installed")
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with (
        playwright.sync_playwright() as driver,
        closing(driver.chromium.launch(executable_path=program, args=flags)) as launched,
    ):
        yield launched


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, server: Server) -> Iterator[Opened]:
    """Opens the page for one more user; at the end nothing outside was asked for, and no script failed."""
    contexts, outside, failures = [], [], []

    def guard(route: Any) -> None:
        if re.match(r"(https?://127\.0\.0\.1:|data:|blob:)", route.request.url):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    def opening(address: str = server.address, **settings: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | settings)
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.set_default_timeout(30_000)
        page.goto(address)
        page.wait_for_selector("#recognize-go")
        return page

    yield opening
    for context in contexts:
        context.close()
    assert outside == []
    assert failures == []
