"""Resizing against Pillow, crops and constants by hand, and the views a model answers on."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from claver.video import Preprocess, VideoReader, center_crop, load_views, normalize, resize_short_side, three_crops
from tests.video.video_files import pictures, write_video


def smooth_noise(height: int, width: int, count: int = 2) -> np.ndarray:
    """Pictures with detail of all sizes, `uint8 [count, height, width, 3]`."""
    rng = np.random.default_rng(5)
    layers = [
        rng.integers(0, 256, (count, height // k + 1, width // k + 1, 3)).repeat(k, 1).repeat(k, 2)[:, :height, :width]
        for k in (1, 4, 16)
    ]
    return np.mean(layers, axis=0).astype(np.uint8)


@pytest.mark.parametrize("size", [(240, 320), (360, 640), (640, 360), (100, 130), (297, 451)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resizing_agrees_with_pillow(size: tuple[int, int], interpolation: str) -> None:
    image = pytest.importorskip("PIL.Image")
    frames = smooth_noise(*size)
    got = resize_short_side(torch.from_numpy(frames).permute(0, 3, 1, 2), 256, interpolation)  # type: ignore[arg-type]
    assert got.dtype == torch.uint8
    assert min(got.shape[-2:]) == 256
    filters = {"bicubic": image.Resampling.BICUBIC, "bilinear": image.Resampling.BILINEAR}
    for picture, ours in zip(frames, got, strict=True):
        pillow = np.asarray(image.fromarray(picture).resize(got.shape[:1:-1], filters[interpolation])).astype(int)
        difference = np.abs(ours.permute(1, 2, 0).numpy().astype(int) - pillow)
        assert difference.max() <= 2
        assert difference.mean() < 0.05


def test_resizing_floats_agrees_with_resizing_bytes() -> None:
    frames = torch.from_numpy(smooth_noise(300, 400)).permute(0, 3, 1, 2)
    floats = resize_short_side(frames.float(), 128)
    assert floats.dtype == torch.float32
    assert (floats.clamp(0, 255) - resize_short_side(frames, 128)).abs().max() <= 1.01
    assert resize_short_side(frames, 300) is frames


def test_crops_lie_along_the_long_side() -> None:
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(11), indexing="ij")
    wide = (rows * 100 + columns)[None]
    assert center_crop(wide, 4)[0, 0, 0] == 104
    assert three_crops(wide, 4)[:, 0, 0, 0].tolist() == [100, 104, 107]
    assert three_crops(wide.transpose(1, 2), 4)[:, 0, 0, 0].tolist() == [100, 104, 107]
    assert three_crops(wide, 6).shape == (3, 1, 6, 6)
    with pytest.raises(ValueError, match="a crop of 7 pixels does not fit into a picture of 6 × 11"):
        center_crop(wide, 7)


def test_normalize_by_hand() -> None:
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1)
    expected = [(0 - 0.5) / 0.25, (128 / 255 - 0.5) / 0.5, (1 - 0.25) / 0.125]
    assert normalize(pixels, (0.5, 0.5, 0.25), (0.25, 0.5, 0.125)).flatten().tolist() == pytest.approx(expected)
    assert pixels.flatten().tolist() == [0, 128, 255]


def test_presets_and_json() -> None:
    assert Preprocess.paper() == Preprocess()
    assert Preprocess.paper(336).short_side == 384
    assert Preprocess.released().mean == (0.485, 0.456, 0.406)
    assert (Preprocess.released(224).short_side, Preprocess.released().interpolation) == (224, "bilinear")
    assert Preprocess(**json.loads(json.dumps(asdict(Preprocess.released())))) == Preprocess.released()
    for wrong in ({"size": 300}, {"interpolation": "nearest"}, {"std": (0.0, 1.0, 1.0)}):
        with pytest.raises(ValueError, match="must"):
            Preprocess(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("crops", [1, 3])
def test_preprocess_shapes_and_kinds(crops: int) -> None:
    frames = smooth_noise(90, 120, 4)
    prepared = Preprocess(size=32, short_side=40)(frames, crops)  # type: ignore[arg-type]
    assert prepared.shape == (crops, 4, 3, 32, 32)
    assert prepared.dtype == torch.float32
    assert prepared.is_contiguous()
    assert torch.equal(prepared, Preprocess(size=32, short_side=40)(torch.from_numpy(frames), crops))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frames must be uint8"):
        Preprocess()(frames.astype(np.float32))


def test_views_are_ordered_by_time_then_crop(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 40)
    preprocess = Preprocess(size=32, short_side=36)
    expected = np.stack(pictures(path))
    views = load_views(path, frames=5, temporal_views=4, crops=3, preprocess=preprocess)
    assert views.shape == (12, 5, 3, 32, 32)
    for view in range(4):
        chosen = expected[[8 * segment + 2 * view + 1 for segment in range(5)]]
        assert torch.equal(views[3 * view : 3 * view + 3], preprocess(chosen, 3))
    assert torch.equal(load_views(expected, frames=5, temporal_views=4, crops=3, preprocess=preprocess), views)
    assert torch.equal(
        load_views(torch.from_numpy(expected), frames=5, temporal_views=4, crops=3, preprocess=preprocess), views
    )


def test_each_frame_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "short.mp4", 6)
    asked: list[list[int]] = []
    read = VideoReader.read
    monkeypatch.setattr(VideoReader, "read", lambda self, i, **how: asked.append(list(i)) or read(self, i, **how))
    assert load_views(path, frames=8, temporal_views=4, crops=3).shape == (12, 8, 3, 224, 224)
    assert asked == [[0, 1, 2, 3, 4, 5]]


def test_random_views_follow_the_generator(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 40)
    small = Preprocess(size=16, short_side=16)
    one, same, other = (
        load_views(path, frames=4, preprocess=small, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_squashing_agrees_with_pillow_whatever_the_proportions() -> None:
    image = pytest.importorskip("PIL.Image")
    frames = smooth_noise(120, 200)
    pixels = Preprocess(size=56, short_side=64, resize="squash").crop(frames)[0]
    for picture, ours in zip(frames, pixels, strict=True):
        pillow = np.asarray(image.fromarray(picture).resize((64, 64), image.Resampling.BICUBIC)).astype(int)
        assert np.abs(ours.permute(1, 2, 0).numpy().astype(int) - pillow[4:60, 4:60]).max() <= 2
    assert Preprocess(size=64, short_side=64, resize="squash").crop(frames, 3).shape == (3, 2, 3, 64, 64)


@pytest.mark.parametrize("constants", [(0.5, float("nan"), 0.5), (0.5, float("inf"), 0.5), (0.5, 0.5), 0.5])
def test_constants_are_three_finite_numbers(constants: object) -> None:
    for name in ("mean", "std"):
        with pytest.raises(ValueError, match=f"{name} must be three finite numbers"):
            Preprocess(**{name: constants})  # type: ignore[arg-type]
