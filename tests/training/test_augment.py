import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor

from claver.training.augment import Augmentation, MultiScaleCrop, jitter, mix, turn_hue
from claver.training.mirror import mirror_of
from claver.training.recipe import Augment
from claver.video import Preprocess

PLAIN = Preprocess(8, 8, mean=(0, 0, 0), std=(1, 1, 1))
NOTHING = {"flip": 0, "jitter": 0, "greyscale": 0, "mixup": 0, "cutmix": 0}
SIDES = ("wave left hand", "wave right hand", "clap")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def still_clips(count: int, *, frames: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    """Clips whose frames are all alike, uint8 [B, T, h, w, 3]."""
    pictures = rng(seed).integers(0, 256, (count, 1, size, size, 3), dtype=np.uint8)
    return torch.from_numpy(pictures).expand(-1, frames, -1, -1, -1)


def augmentation(smoothing: float = 0.0, **settings: float) -> Augmentation:
    return Augmentation(Augment(**(NOTHING | settings)), PLAIN, mirror_of(SIDES, {}), smoothing)  # type: ignore[arg-type]


def test_every_choice_is_the_same_in_all_frames_of_a_clip():
    full = Augmentation(Augment(), PLAIN, mirror_of(SIDES, {}))
    frames, labels = still_clips(40), torch.arange(40) % 3
    pixels, soft = full(frames, labels, rng())
    torch.testing.assert_close(pixels, pixels[:, :1].expand_as(pixels), rtol=0, atol=0)
    torch.testing.assert_close(soft.sum(1), torch.ones(40))
    assert (pixels[:, 0] != frames.movedim(-1, 2)[:, 0] / 255).flatten(1).any(1).float().mean() > 0.9


def test_the_same_numbers_give_the_same_clips_and_others_do_not():
    full = Augmentation(Augment(), Preprocess.paper(8), mirror_of(SIDES, {}))
    first, again, other = (full(still_clips(6), torch.zeros(6, dtype=torch.int64), rng(s)) for s in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_all_off_is_normalisation_alone():
    frames, labels = still_clips(4), torch.tensor([0, 1, 2, 0])
    clip = Preprocess.paper(8)
    pixels, soft = Augmentation(Augment(**NOTHING), clip, mirror_of(SIDES, {}), 0.0)(frames, labels, rng())  # type: ignore[arg-type]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (clip.mean, clip.std))
    torch.testing.assert_close(pixels, (frames.movedim(-1, 2) / 255 - mean) / std)
    assert torch.equal(soft, torch.eye(3)[labels])


def test_a_flip_swaps_left_and_right_in_pixels_and_labels():
    frames, labels = still_clips(3), torch.tensor([0, 1, 2])
    pixels, soft = augmentation(flip=1)(frames, labels, rng())
    torch.testing.assert_close(pixels, frames.movedim(-1, 2).flip(-1) / 255)
    assert soft.argmax(1).tolist() == [1, 0, 2]


def test_a_class_without_mirror_image_is_never_mirrored():
    frames = still_clips(5)
    lonely = Augmentation(Augment(**(NOTHING | {"flip": 1})), PLAIN, torch.tensor([-1, 1]), 0.0)  # type: ignore[arg-type]
    pixels, _ = lonely(frames, torch.zeros(5, dtype=torch.int64), rng())
    torch.testing.assert_close(pixels, frames.movedim(-1, 2) / 255)


@pytest.mark.parametrize(("name", "share"), [("flip", 0.5), ("greyscale", 0.2), ("jitter", 0.8)])
def test_operations_come_as_often_as_they_should(name, share):
    frames = still_clips(1, size=4, frames=1).expand(3000, -1, -1, -1, -1)
    pixels, _ = augmentation(**{name: share})(frames, torch.full((3000,), 2), rng())
    changed = (pixels - frames.movedim(-1, 2) / 255).abs().flatten(1).amax(1) > 1e-4
    assert changed.float().mean().item() == pytest.approx(share, abs=0.03)


def test_jitter_by_hand():
    pixels = torch.tensor([[0.2, 0.4], [0.6, 0.1]]).expand(1, 1, 3, 2, 2)  # grey, mean 0.325
    none = torch.zeros(1)
    torch.testing.assert_close(jitter(pixels, none + 0.4, none, none, none), pixels * 1.4)
    torch.testing.assert_close(jitter(pixels, none, none - 0.4, none, none), 0.325 + (pixels - 0.325) * 0.6)
    torch.testing.assert_close(jitter(pixels, none, none, none + 0.2, none + 0.1), pixels)  # grey has no colour
    red = torch.tensor([0.8, 0.0, 0.0]).view(1, 1, 3, 1, 1)
    gray = 0.8 * 0.299
    wanted = torch.tensor([gray + (0.8 - gray) * 0.8, gray * 0.2, gray * 0.2]).view(1, 1, 3, 1, 1)
    torch.testing.assert_close(jitter(red, none, none, none - 0.2, none), wanted)


def test_hue_is_that_of_the_standard_library():
    colors, turns = rng().random((20, 3)).astype(np.float32), rng(1).uniform(-0.5, 0.5, 20).astype(np.float32)
    turned = turn_hue(torch.from_numpy(colors).view(20, 1, 3, 1, 1), torch.from_numpy(turns)).view(20, 3)
    for color, turn, found in zip(colors.tolist(), turns.tolist(), turned, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*color)
        wanted = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-5)


def test_greyscale_is_luma_in_all_channels():
    frames = still_clips(2)
    pixels, _ = augmentation(greyscale=1)(frames, torch.tensor([0, 1]), rng())
    wanted = (frames / 255 @ torch.tensor([0.299, 0.587, 0.114]))[:, :, None]
    torch.testing.assert_close(pixels, wanted.expand_as(pixels))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_lambda_is_the_share_of_a_clips_own_pixels(kind):
    """Clip i is of value i, so the mean of a mixture tells how much of what is in it."""
    count = 64
    pixels = torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, 2, 3, 16, 16)
    settings = Augment(**(NOTHING | {kind: 1.0}))  # type: ignore[arg-type]
    mixed, soft = mix(pixels, torch.eye(count), settings, rng())
    torch.testing.assert_close(soft.sum(1), torch.ones(count))
    torch.testing.assert_close(mixed.mean((1, 2, 3, 4)), soft @ torch.arange(count, dtype=torch.float32))
    values = [len(clip.unique()) for clip in mixed]
    assert max(values) == (1 if kind == "mixup" else 2)


def test_cutmix_gives_one_rectangle():
    pixels = torch.arange(32, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, 2, 3, 16, 16)
    mixed, _ = mix(pixels, torch.eye(32), Augment(**(NOTHING | {"cutmix": 1.0})), rng())  # type: ignore[arg-type]
    for row, clip in enumerate(mixed):
        other = clip[0, 0] != row
        if other.any():
            rows, columns = other.any(1).nonzero()[:, 0], other.any(0).nonzero()[:, 0]
            assert other[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_the_switch_chooses_cutmix_as_often_as_it_should():
    pixels = torch.arange(2000, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, 1, 1, 8, 8)
    mixed, _ = mix(pixels, torch.zeros(2000, 2), Augment(mix_switch=0.25), rng())
    whole = torch.tensor([bool((clip == clip.round()).all()) for clip in mixed])
    assert whole.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_smoothed_labels_are_mixed():
    pixels, soft = augmentation(smoothing=0.3, mixup=0.8)(still_clips(30), torch.arange(30) % 3, rng())
    torch.testing.assert_close(soft.sum(1), torch.ones(30))
    assert soft.min() >= 0.1 - 1e-6
    assert len(pixels) == 30


def test_crops_have_the_scales_lie_in_the_picture_and_are_all_drawn():
    crop, draw = MultiScaleCrop(224), rng()
    boxes = [crop.draw(256, 340, draw) for _ in range(2000)]
    sides = [256, 224, 192, 168]
    for top, left, height, width in boxes:
        assert abs(sides.index(height) - sides.index(width)) <= 1
        down, across = 256 - height, 340 - width
        assert (top, left) in [(0, 0), (0, across), (down, 0), (down, across), (down // 2, across // 2)]
    assert len({(height, width) for *_, height, width in boxes}) == 10
    anywhere = [MultiScaleCrop(224, fixed=False).draw(256, 340, draw) for _ in range(500)]
    assert len({left for _, left, *_ in anywhere}) > 50
    assert all(top + height <= 256 and left + width <= 340 for top, left, height, width in anywhere)


def test_a_crop_is_cut_and_resized_alike_in_all_frames():
    frames = np.repeat(rng().integers(0, 256, (1, 40, 60, 3), dtype=np.uint8), 3, axis=0)
    exact = MultiScaleCrop(40, scales=(1,))(frames, rng(3))
    assert exact.shape == (3, 40, 40, 3)
    assert any((exact[0] == frames[0, :, left : left + 40]).all() for left in (0, 10, 20))
    small = MultiScaleCrop(16)(frames, rng(1))
    assert small.shape == (3, 16, 16, 3)
    assert (small == small[:1]).all()
    assert (small == MultiScaleCrop(16)(frames, rng(1))).all()


@pytest.mark.parametrize("wrong", [{"crop_scales": (1.5,)}, {"flip": 2}, {"flip_labels": {"a": "b", "b": "c"}}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"crop_scales|flip"):
        Augment(**wrong)
