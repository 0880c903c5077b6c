"""Frames given instead of a file: arrays and lists, grey and RGBA, pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from claver.errors import VideoError
from claver.video import load_views, read_video
from tests.videos import write_video

RGB = np.random.default_rng(0).integers(0, 256, (9, 40, 52, 3), dtype=np.uint8)
GRAY = RGB[..., 0]
ALPHA = np.concatenate([RGB, GRAY[..., None]], -1)
VIEWS = load_views(RGB, frames=4)
GREY_VIEWS = load_views(GRAY[..., None].repeat(3, -1), frames=4)


def pictures(frames: Any, mode: str | None = None) -> list[Any]:
    image = pytest.importorskip("PIL.Image")
    opened = [image.fromarray(frame) for frame in frames]
    return opened if mode is None else [picture.convert(mode) for picture in opened]


@pytest.mark.parametrize("given", [ALPHA, torch.from_numpy(RGB), list(RGB), tuple(ALPHA), list(torch.from_numpy(RGB))])
def test_colour(given: Any) -> None:
    assert torch.equal(load_views(given, frames=4), VIEWS)


@pytest.mark.parametrize("given", [GRAY, GRAY[..., None], torch.from_numpy(GRAY), list(GRAY), list(GRAY[..., None])])
def test_grey(given: Any) -> None:
    assert torch.equal(load_views(given, frames=4), GREY_VIEWS)


def test_pil_images() -> None:
    assert torch.equal(load_views(pictures(RGB), frames=4), VIEWS)
    assert torch.equal(load_views(pictures(ALPHA), frames=4), VIEWS)
    assert torch.equal(load_views(pictures(GRAY), frames=4), GREY_VIEWS)
    assert torch.equal(load_views(pictures(RGB)[0], frames=2), load_views(RGB[:1], frames=2))
    palette = pictures(RGB, "P")
    expected = np.stack([np.asarray(picture.convert("RGB")) for picture in palette])
    assert torch.equal(load_views(palette, frames=4), load_views(expected, frames=4))


def test_alpha_is_left_out_of_a_file_too(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(ALPHA[0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_video(tmp_path / "a.png"), read_video(ALPHA[:1]))


def test_frames_in_order() -> None:
    np.testing.assert_array_equal(read_video(list(RGB), [3, 1, 3]), RGB[[3, 1, 3]])
    np.testing.assert_array_equal(read_video(GRAY), GRAY[..., None].repeat(3, -1))


def test_a_file_is_still_a_file(tmp_path: Path) -> None:
    assert load_views(write_video(tmp_path / "a.mp4"), frames=4).shape[:2] == (1, 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (RGB[0], r"uint8 \[40, 52, 3\]; one frame goes into a list"),
        (RGB.astype(np.float32), r"not float32 \[9, 40, 52, 3\]"),
        (np.moveaxis(RGB, -1, 1), r"\[9, 3, 40, 52\]"),
        (RGB[:0], r"\[0, 40, 52, 3\]"),
        ([], "there is no frame"),
        ([RGB[0], RGB[1, :20]], "frame 1 is 20 x 52, frame 0 40 x 52"),
        ([RGB[0], RGB[1] / 255], r"frame 1 must be uint8 .*not float64 \[40, 52, 3\]"),
        (["a.mp4", "b.mp4"], "not str; many files go to Recognizer.stream"),
        ([None], "not NoneType"),
    ],
)
def test_what_is_no_frames(given: Any, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        load_views(given, frames=4)


def test_deep_pictures_are_refused() -> None:
    image = pytest.importorskip("PIL.Image")
    deep = image.fromarray(np.zeros((8, 8), dtype=np.uint16))
    with pytest.raises(VideoError, match="mode I;16"):
        load_views([deep], frames=2)
