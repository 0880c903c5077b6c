"""What another process reads is what this one would read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.app.conftest import LIMITS
from tests.tiny import talking_model
from tests.videos import write_video

from claver.app import decoding
from claver.app.job import Job
from claver.app.limits import Limits
from claver.app.sandbox import Sandbox
from claver.errors import VideoError
from claver.explain import explain
from claver.inference import Recognizer
from claver.inference.far import FarVideo
from claver.inference.views import Views
from claver.timeline import Timeline
from claver.video import VideoReader


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as made:
        yield made


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(talking_model(), ("waves", "bows"), cache=False)


def test_a_time_line_of_another_process_is_the_same(sandbox: Sandbox, recognizer: Recognizer, videos: Path) -> None:
    path = str(videos / "clip.mp4")
    parts = sandbox.stream(Job(), "name.mp4", decoding.read, path, "name.mp4", 4.0)
    far = Timeline.of(FarVideo("name.mp4", parts, 4.0), recognizer, fps=4.0)
    near = Timeline.of(path, recognizer, fps=4.0)
    assert far.source == "name.mp4"
    np.testing.assert_array_equal(far.curves, near.curves)
    np.testing.assert_array_equal(far.timestamps, near.timestamps)
    assert far.segments == near.segments
    assert len(far.thumbnails) == len(near.thumbnails) > 0


def test_views_of_another_process_are_the_same(sandbox: Sandbox, recognizer: Recognizer, videos: Path) -> None:
    path = str(videos / "clip.mp4")
    arguments = (path, "name.mp4", recognizer.frames, Views(2, 3), recognizer.preprocess)
    far = sandbox.call(Job(), "name.mp4", decoding.look, *arguments).unpacked()
    near = Recognizer(recognizer.model, ("waves", "bows"), views="2x3", cache=False).encoder.look(path)
    np.testing.assert_array_equal(far.pixels.numpy(), near.pixels.numpy())
    np.testing.assert_array_equal(far.seconds, near.seconds)
    whole = decoding.look(path, "name.mp4", recognizer.frames, Views(), recognizer.preprocess).unpacked()
    given, own = explain(recognizer, whole, "waves", name="name.mp4"), explain(recognizer, path, "waves")
    assert given.prediction.source == "name.mp4"
    np.testing.assert_array_equal(given.combined, own.combined)
    np.testing.assert_array_equal(given.scores, own.scores)


def test_a_part_of_a_video_is_looked_at(recognizer: Recognizer, videos: Path) -> None:
    path = str(videos / "clip.mp4")
    part = decoding.look_between(path, "clip.mp4", 1.0, 2.0, 4, recognizer.preprocess)
    with VideoReader(path) as video:
        times = video.info.timestamps
    assert part.pixels.shape == (1, 4, 3, 32, 32)
    assert part.seconds is not None
    assert ((part.seconds >= 1.0) & (part.seconds < 2.0)).all()
    assert set(part.seconds[0]) <= set(times)
    beyond = decoding.look_between(path, "clip.mp4", 100.0, 101.0, 4, recognizer.preprocess)
    assert beyond.seconds is not None
    assert beyond.seconds.max() == times[-1]


def test_what_is_too_long_or_too_large_is_refused_by_its_own_name(tmp_path: Path, videos: Path) -> None:
    path = str(videos / "clip.mp4")
    facts = decoding.inspect(path, "clip.mp4", LIMITS)
    assert (facts.width, facts.height, facts.codec, facts.plays_as) == (64, 48, "mpeg4", None)
    assert facts.seconds == pytest.approx(4.0)
    with pytest.raises(VideoError, match=r"^mine\.mp4: it lasts 0\.1 minutes, more than the 0\.05 "):
        decoding.inspect(path, "mine.mp4", Limits(seconds=3))
    with pytest.raises(VideoError, match=r"^mine\.mp4: its frames have 64 × 48 pixels, more than the 3,000 "):
        decoding.inspect(path, "mine.mp4", Limits(pixels=3000))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError) as error:
        decoding.inspect(str(tmp_path / "text.mp4"), "mine.mp4", LIMITS)
    assert str(tmp_path) not in str(error.value)
    assert str(error.value).startswith("mine.mp4: ")


def test_damage_is_told_at_the_end(recognizer: Recognizer, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", frames=40).read_bytes()
    torn = bytearray(whole)
    torn[len(torn) // 3 : len(torn) // 3 + 40] = bytes(40)
    (tmp_path / "torn.mp4").write_bytes(torn)
    parts = decoding.read(str(tmp_path / "torn.mp4"), "torn.mp4", 4.0)
    far = Timeline.of(FarVideo("torn.mp4", parts, 4.0), recognizer, fps=4.0)  # type: ignore[arg-type]
    near = Timeline.of(tmp_path / "torn.mp4", recognizer, fps=4.0)
    assert far.damaged == near.damaged
    assert near.damaged
