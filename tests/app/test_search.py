"""The tab *Search* on a real index, through the page's own interface for programs."""

import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

pytest.importorskip("gradio", reason="gradio (extra app) is not installed")
pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")

from gradio_client import Client
from tests.app.conftest import served
from tests.tiny import talking_model

import claver
from claver.app.job import StoppedError
from claver.errors import VideoError
from claver.explain.render.heat_map import png
from claver.index.pictures import picture_at


def test_moments_of_a_real_index(videos: Path, tmp_path: Path) -> None:
    model = talking_model()
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    expected = index.search(("falls", "drops"), model, negative=("rises",), top=3, cache=False)
    expected = expected.only_fitting() if expected.fits else expected
    with served(videos, index=index) as server:
        client = Client(server.address, verbose=False)
        found = client.predict("falls\ndrops", "rises", 3, api_name="/search")
    assert found["fits"] is expected.fits
    assert len(found["hits"]) == len(expected) > 0
    for one, hit in zip(found["hits"], expected, strict=True):
        assert (one["start"], one["stop"]) == (hit.start, hit.stop)
        assert one["score"] == pytest.approx(hit.score, abs=1e-4)


def test_previews_of_the_last_search_go_with_the_next(videos: Path) -> None:
    with served(videos) as server:
        service = server.service  # type: ignore[attr-defined]
        visitor = service.visitors.of("a session")
        address = service.moment_address(visitor, str(videos / "clip.mp4"), 1.0, 2.0)
        made = Path(service.visitors.served(address.removeprefix("media/")).make())
        assert made.is_file()
        service.forget_moments(visitor)
        assert not made.exists()
        assert service.visitors.served(address.removeprefix("media/")) is None


def test_pictures_of_moments_are_made_once_and_go_with_the_next_search(videos: Path) -> None:
    with served(videos) as server:
        service = server.service  # type: ignore[attr-defined]
        visitor = service.visitors.of("a session")
        address = service.picture_address(visitor, str(videos / "clip.mp4"), 1.5)
        picture = service.visitors.served(address.removeprefix("media/"))
        path = Path(picture.make())
        pixels = picture_at(str(videos / "clip.mp4"), 1.5)
        assert pixels is not None
        assert path.read_bytes() == png(pixels)
        assert picture.make() == str(path)
        gone = service.picture_address(visitor, str(videos / "clip.mp4"), 1e6)
        with pytest.raises(VideoError, match=r"clip\.mp4: no frame at 1000000\.0 s"):
            service.visitors.served(gone.removeprefix("media/")).make()
        service.forget_moments(visitor)
        assert not path.exists()
        with pytest.raises(StoppedError):  # whoever asks for it late makes no file that nobody deletes
            picture.make()
        assert not list(visitor.folder.iterdir())


def test_a_picture_that_is_withdrawn_while_it_is_made_leaves_nothing(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(videos) as server:
        service = server.service  # type: ignore[attr-defined]
        visitor = service.visitors.of("a session")
        address = service.picture_address(visitor, str(videos / "clip.mp4"), 1.5)
        picture, begun = service.visitors.served(address.removeprefix("media/")), Event()
        own = service.sandbox.call

        def slow(*given: object) -> object:
            begun.set()
            found = own(*given)
            time.sleep(0.3)
            return found

        monkeypatch.setattr(service.sandbox, "call", slow)

        def make() -> None:
            with suppress(StoppedError):
                picture.make()

        making = Thread(target=make)
        making.start()
        begun.wait(20)
        service.forget_moments(visitor)
        making.join(20)
        assert not list(visitor.folder.iterdir())
