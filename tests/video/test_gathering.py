"""Frames resized as they arrive are, to the last bit, those resized all at once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claver.data.clips import ClipDecoder, ClipLocation
from claver.video import Preprocess, gathering, load_views, read_video, transforms, view_indices
from claver.video.gathering import Gathering
from tests.video.golden_clips import CLIPS
from tests.video.video_files import write_video


@pytest.fixture(params=["one by one", "in groups", "all at once"])
def grouped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "one by one":
        monkeypatch.setattr(gathering, "HELD_BYTES", 1)
        monkeypatch.setattr(transforms, "_RESIZED_PIXELS", 256 * 512)
    elif request.param == "in groups":
        monkeypatch.setattr(gathering, "HELD_BYTES", 3 * 96 * 133 * 3)
    return str(request.param)


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_views(tmp_path: Path, grouped: str, crops: int, interpolation: str) -> None:
    path = write_video(tmp_path / "clip.mkv", 21, codec="ffv1", pix_fmt="bgr0", size=(96, 133))
    preprocess = Preprocess(size=112, short_side=128, interpolation=interpolation)  # type: ignore[arg-type]
    views = load_views(path, frames=4, temporal_views=3, crops=crops, preprocess=preprocess, normalized=False)  # type: ignore[arg-type]
    indices = view_indices(21, 4, 3)
    whole = torch.from_numpy(read_video(path)).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(
        whole, size=(128, 177), mode=interpolation, antialias=True, align_corners=False
    )
    lefts = [0, 32, 65] if crops == 3 else [32]
    expected = [resized[indices[v]][..., 8:120, left : left + 112] for v in range(3) for left in lefts]
    assert torch.equal(views, torch.stack(expected))
    normalized = load_views(path, frames=4, temporal_views=3, crops=crops, preprocess=preprocess)  # type: ignore[arg-type]
    assert torch.equal(normalized, transforms.normalize(views))


def test_clips(tmp_path: Path, grouped: str) -> None:
    path = write_video(tmp_path / "clip.mkv", 21, codec="ffv1", pix_fmt="bgr0", size=(96, 133))
    read = ClipDecoder(4, short_side=64, crop=None, sampling="centre", views=3).frames_of(
        ClipLocation(str(path), str(path))
    )
    whole = torch.from_numpy(read_video(path)).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(whole, size=(64, 88), mode="bicubic", antialias=True, align_corners=False)
    assert np.array_equal(read, resized.permute(0, 2, 3, 1)[view_indices(21, 4, 3).reshape(-1)].numpy())


def test_a_turned_picture(grouped: str) -> None:
    path = CLIPS["h264_turned_90.mov"].path
    views = load_views(path, frames=4, normalized=False)
    chosen = read_video(path)
    expected = Preprocess().crop(chosen[view_indices(len(chosen), 4, 1)[0]])[0]
    assert torch.equal(views[0], expected)


@given(
    frames=st.integers(1, 9),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    short=st.integers(1, 80),
    mode=st.sampled_from(["bicubic", "bilinear"]),
)
def test_one_frame_is_resized_as_in_a_batch(frames: int, height: int, width: int, short: int, mode: str) -> None:
    pixels = np.random.default_rng(frames).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    together = transforms.resize_short_side(batch, short, mode)  # type: ignore[arg-type]
    alone = [transforms.resize_short_side(frame[None], short, mode) for frame in batch]  # type: ignore[arg-type]
    assert torch.equal(together, torch.cat(alone))


def test_frames_come_in_any_order_and_again() -> None:
    gathered = Gathering(5, (2, 2, 3), lambda frames: frames[:, 0])
    for places, value in (([4, 0], 7), ([1], 3), ([1], 4), ([2, 3], 5)):
        gathered.put(places, np.full((2, 2, 3), value, np.uint8))
    assert gathered.result()[:, 0, 0].tolist() == [7, 4, 5, 5, 7]
    assert Gathering(0, (2, 2, 3)).result().shape == (0, 2, 2, 3)
