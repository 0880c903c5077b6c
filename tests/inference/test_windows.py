"""Windows: each frame encoded once, embeddings as of clips of their own, seconds right, memory bounded."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import tiny_model
from tests.videos import write_video

from claver.errors import ClaverError, VideoError
from claver.inference import VideoEncoder, WindowEncoder, Windows
from claver.inference.windows import TokenCache
from claver.models.objective import video_embedding
from claver.video import TimedFrame, read_video


def write_varying(path: Path, seconds: list[float]) -> Path:
    """A frame at each of these times, brighter from one to the next."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def expected(encoder: WindowEncoder, frames: np.ndarray, rows: list[list[int]]) -> torch.Tensor:
    """Each window as a clip of its own."""
    model, preprocess = encoder.encoder.model, encoder.encoder.preprocess
    with torch.inference_mode():
        clips = torch.stack([preprocess(frames[row])[0] for row in rows])
        return video_embedding(model.encode_video(clips), model.config.aggregate)


@pytest.mark.parametrize("kind", ["kmt", "kmct", "mean"])
@pytest.mark.parametrize(("fps", "stride"), [(10.0, None), (10.0, 3), (5.0, 4), (20.0, 1)])
def test_a_window_is_as_a_clip_of_its_own(kind: str, fps: float, stride: int | None, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=23)
    encoder = WindowEncoder(VideoEncoder(tiny_model(kind)), fps=fps, stride=stride, batch_size=2)  # type: ignore[arg-type]
    with encoder(path) as windows:
        found = Windows.joined(list(windows))
    frames = read_video(path)
    shown = [min(int(tick * 10 / fps + 1e-9), 22) for tick in range(round(2.3 * fps + 0.4))]
    step = stride or 2
    firsts = list(range(0, len(shown) - 3, step))
    firsts += [len(shown) - 4] if firsts[-1] != len(shown) - 4 else []
    rows = [shown[first : first + 4] for first in firsts]
    torch.testing.assert_close(found.embeddings, expected(encoder, frames, rows), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(found.starts, np.array(firsts) / fps)
    np.testing.assert_allclose(found.stops, np.minimum((np.array(firsts) + 4) / fps, 2.3))


def test_every_frame_goes_through_the_image_tower_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("kmct")
    given_frames: list[int] = []
    tokens = model.image_tokens

    def counted(video: torch.Tensor) -> torch.Tensor:
        given_frames.append(video.shape[0] * video.shape[1])
        return tokens(video)

    monkeypatch.setattr(model, "image_tokens", counted)
    path = write_video(tmp_path / "clip.mp4", frames=40)
    seen: list[float] = []
    with WindowEncoder(VideoEncoder(model), fps=10)(path, watch=lambda seconds, _: seen.append(seconds)) as windows:
        count = sum(len(part) for part in windows)
    assert sum(given_frames) == 40
    np.testing.assert_allclose(seen, np.arange(40) / 10)
    assert count == 19


def test_results_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=31)
    encoders = [WindowEncoder(VideoEncoder(tiny_model()), fps=10, batch_size=size) for size in (1, 3, 100)]
    first, *others = [Windows.joined(list(encoder(path))) for encoder in encoders]
    for other in others:
        torch.testing.assert_close(other.embeddings, first.embeddings, atol=1e-5, rtol=1e-5)
        np.testing.assert_array_equal(other.starts, first.starts)


def test_a_video_shorter_than_a_window(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=3)
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=10)
    (found,) = encoder(path)
    torch.testing.assert_close(found.embeddings, expected(encoder, read_video(path), [[0, 0, 1, 2]]))
    assert (found.starts.tolist(), found.stops.tolist()) == ([0.0], [pytest.approx(0.3)])


def test_seconds_of_a_file_of_varying_rate(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 2.0, 2.05, 2.1, 3.0, 5.0, 5.5, 6.0]
    path = write_varying(tmp_path / "varying.mkv", times)
    encoder = WindowEncoder(VideoEncoder(tiny_model("kmct")), fps=2)
    seen: list[tuple[float, int]] = []

    def watch(seconds: float, pixels: np.ndarray) -> None:
        seen.append((seconds, round(float(pixels.mean()) / 8)))

    with encoder(path, watch=watch) as windows:
        found = Windows.joined(list(windows))
        duration = windows.info.duration
    ticks = np.arange(len(seen)) / 2
    assert [second for second, _ in seen] == ticks.tolist()
    assert [frame for _, frame in seen] == [int(np.searchsorted(times, tick + 1e-3)) - 1 for tick in ticks]
    assert ticks[-1] < duration <= ticks[-1] + 0.5 + 1e-9
    rows = [[frame for _, frame in seen[round(2 * start) :][:4]] for start in found.starts]
    torch.testing.assert_close(found.embeddings, expected(encoder, read_video(path), rows), atol=1e-5, rtol=1e-5)
    assert found.stops[-1] == pytest.approx(duration)


def test_frames_that_do_not_decode_shift_nothing() -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    frames = (TimedFrame(second, pixels) for second in (0, 1, 2, 6, 7, 8, 9))
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=1, stride=1)
    found = Windows.joined(list(encoder.of_frames(frames, 10.0)))
    assert found.starts.tolist() == [0, 1, 2, 6]
    assert found.stops.tolist() == [7, 8, 9, 10]


@given(st.integers(1, 9), st.integers(1, 9), st.lists(st.integers(1, 7), min_size=1, max_size=12))
def test_tokens_are_kept_only_as_long_as_they_are_needed(frames: int, stride: int, sizes: list[int]) -> None:
    stride = min(stride, frames)
    cache = TokenCache(frames, stride)
    rows: list[list[int]] = []
    for size in sizes:
        numbers = range(cache.count, cache.count + size)
        cache.add(numbers, torch.tensor(numbers, dtype=torch.float32)[:, None, None])
        due = cache.due()
        rows += [list(row) for row in due]
        if due:
            assert cache.tokens(due)[:, :, 0, 0].tolist() == [[float(frame) for frame in row] for row in due]
        assert len(cache._ticks) <= frames + max(sizes) + stride
    rest = [list(row) for row in cache.rest()]
    if rest:
        assert cache.tokens(rest)[:, :, 0, 0].tolist() == rest
    rows += rest
    assert all(len(row) == frames for row in rows)
    assert set(itertools.chain(*rows)) == set(range(sum(sizes)))  # no frame is left out
    assert len({tuple(row) for row in rows}) == len(rows)


def test_memory_does_not_grow_with_length() -> None:
    """Windows of an endless stream come as it goes, and no more frames are taken than they need."""
    taken = 0

    def endless() -> Iterator[TimedFrame]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield TimedFrame(number / 10, np.full((48, 64, 3), number % 200, np.uint8))

    encoder = WindowEncoder(VideoEncoder(tiny_model("mean")), fps=10, batch_size=2)
    parts = list(itertools.islice(encoder.of_frames(endless(), 1e9), 500))
    assert all(len(part) <= 2 for part in parts)
    assert taken <= 500 * 4


def test_what_cannot_be_used(tmp_path: Path) -> None:
    encoder = VideoEncoder(tiny_model())
    with pytest.raises(ClaverError, match="fps is a number"):
        WindowEncoder(encoder, fps=0)
    with pytest.raises(ClaverError, match=r"stride is in 1 \.\.\. 4"):
        WindowEncoder(encoder, stride=5)
    with pytest.raises(ClaverError, match="batch_size"):
        WindowEncoder(encoder, batch_size=0)
    with pytest.raises(VideoError, match="no frame of it decodes"):
        list(WindowEncoder(encoder).of_frames(iter(()), 1.0))
    with pytest.raises(VideoError):
        WindowEncoder(encoder)(tmp_path / "missing.mp4")
