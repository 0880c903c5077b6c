"""A time line of a real file, from pixels to segments."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.videos import write_ffv1, write_video

import claver
from claver.errors import ClaverError, VideoError
from claver.timeline.timeline import Timeline, scores_of
from claver.video import VideoReader


@pytest.fixture(scope="module")
def recognizer() -> claver.Recognizer:
    return claver.Recognizer(talking_model("kmct"), ["waving", "bowing", "running"])


def test_a_time_line(recognizer: claver.Recognizer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=60)
    told: list[tuple[float, float]] = []
    timeline = claver.Timeline.of(path, recognizer, fps=10, progress=lambda *done: told.append(done))
    assert told[-1] == (pytest.approx(6.0), pytest.approx(6.0))
    assert timeline.duration == pytest.approx(6.0)
    assert timeline.curves.shape == (len(timeline.starts), 3) == (29, 3)
    assert (timeline.size, timeline.rate, len(timeline.timestamps)) == ((64, 48), pytest.approx(10), 60)
    assert timeline.threshold > 0
    assert all(0 <= one.start < one.stop <= 6.0 + 1e-9 for one in timeline.candidates)
    assert set(timeline.segments) <= set(timeline.candidates)
    assert len(timeline.thumbnails) == 48
    assert all(picture.shape == (72, 96, 3) for _, picture in timeline.thumbnails)
    assert [seconds for seconds, _ in timeline.thumbnails] == sorted(seconds for seconds, _ in timeline.thumbnails)
    assert str(path) in str(timeline)


def test_scores_of_a_window_are_those_of_the_recognizer(recognizer: claver.Recognizer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=4)
    embedding = recognizer.encoder(path).frames.mean(1)
    scores = scores_of(recognizer, embedding)[0].detach().numpy()
    np.testing.assert_allclose(scores, recognizer(path).scores, rtol=1e-4)


def test_scores_relative_to_another_background(recognizer: claver.Recognizer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=40)

    def relative(embeddings: torch.Tensor) -> torch.Tensor:
        scores = torch.full((len(embeddings), 3), -1.0)
        scores[5:10, 0] = 4.0
        scores[8:14, 2] = 4.0
        return scores

    settings = {"fps": 10, "smoothing": 0, "background": relative, "threshold": 2.0}
    timeline = Timeline.of(path, recognizer, **settings)  # type: ignore[arg-type]
    first, second = timeline.segments
    assert (first.action, second.action) == ("waving", "running")
    # A window lasts 0.4 s and begins every 0.2 s; from -1 to 4 the curve crosses 1 after two fifths of the way.
    assert first.start == pytest.approx(0.2 * 4.4 + 0.2)
    assert second.stop == pytest.approx(0.2 * 13.6 + 0.2)
    assert timeline.threshold == 2


def test_what_is_damaged_is_said_or_refused(tmp_path: Path) -> None:
    path = write_ffv1(tmp_path / "torn.mkv", {5})
    recognizer = claver.Recognizer(talking_model("kmct"), ["waving", "bowing"])
    assert Timeline.of(path, recognizer, fps=10).damaged
    recognizer.encoder.damaged = "fail"
    with pytest.raises(VideoError, match="damaged"):
        Timeline.of(path, recognizer, fps=10)


def test_what_cannot_be_used(recognizer: claver.Recognizer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4")
    for threshold in (0, -1.0, float("nan"), "much"):
        with pytest.raises(ClaverError, match="threshold"):
            Timeline.of(path, recognizer, threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(ClaverError, match="smoothing"):
        Timeline.of(path, recognizer, smoothing=-1)


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "vtt", "srt", "eaf", "labelstudio.json", "xml", "html"])
def test_saving(suffix: str, recognizer: claver.Recognizer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=30)
    timeline = Timeline.of(path, recognizer, fps=10)
    assert timeline.save(tmp_path / f"clip.{suffix}").stat().st_size > 0 or not timeline.segments
    with VideoReader(path) as video:  # the video is as it was
        assert video.info.frames == 30
