"""Table 14's variations of training clips: tensors only, whole batches on their device, every choice one per clip.

A choice made per frame would flicker and teach a temporal tower about the augmentation; so a crop, a flip, a change of
colour or a mixture is drawn once for a clip and is the same in all its frames. The paper names operations and
probabilities. Strengths of the jitter are the usual .4, .4, .2, .1; its order is fixed: brightness, contrast,
saturation, hue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.training.objectives import smooth_labels
from claver.training.recipe import Augment
from claver.video.reader import Frames
from claver.video.transforms import Preprocess

_LUMA = (0.299, 0.587, 0.114)
_MOST_DISTORTED = 1  # steps between the scales of height and of width


@dataclass(frozen=True)
class MultiScaleCrop:
    """A crop of one of several sizes and shapes, resized to a square: a `Crop` for `claver.data.ClipDecoder`.

    Height and width are shares of the short side, drawn from `scales`, next to each other there or equal.

    Attributes:
        size: pixels of the square it gives.
        scales: shares of the short side, in order.
        fixed: the crop lies at one of the corners or in the centre; else anywhere.
    """

    size: int = 224
    scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)
    fixed: bool = True

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        """uint8 [T, H, W, 3] to uint8 [T, size, size, 3]; one draw for all frames."""
        top, left, height, width = self.draw(frames.shape[1], frames.shape[2], rng)
        cut = torch.from_numpy(frames[:, top : top + height, left : left + width]).permute(0, 3, 1, 2)
        if (height, width) != (self.size, self.size):
            cut = F.interpolate(cut, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        return np.ascontiguousarray(cut.permute(0, 2, 3, 1).numpy())

    def draw(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Top, left, height and width of the crop, in pixels."""
        sides = [max(1, int(min(height, width) * scale)) for scale in self.scales]
        first = int(rng.integers(len(sides)))
        near = [place for place in range(len(sides)) if abs(place - first) <= _MOST_DISTORTED]
        tall, wide = sides[first], sides[near[int(rng.integers(len(near)))]]
        down, across = height - tall, width - wide
        if not self.fixed:
            return int(rng.integers(down + 1)), int(rng.integers(across + 1)), tall, wide
        places = [(0, 0), (0, across), (down, 0), (down, across), (down // 2, across // 2)]
        return *places[int(rng.integers(len(places)))], tall, wide


@dataclass(frozen=True)
class Augmentation:
    """What Table 14 does to a batch of cropped clips and their labels.

    Attributes:
        settings: which operations, how often, how strong.
        preprocess: its mean and standard deviation are those of the model's input.
        mirror: int64 [C], the class each becomes when left and right change places, −1 where it must not be mirrored.
        smoothing: label smoothing.
    """

    settings: Augment
    preprocess: Preprocess
    mirror: Tensor = field(repr=False)
    smoothing: float = 0.1

    @torch.no_grad()
    def __call__(self, frames_BTHWC: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Vary a batch.

        Args:
            frames_BTHWC: uint8 [B, T, h, w, 3], where the result shall be computed.
            labels: int64 [B].
            rng: all that is random; as many draws whatever they turn out to be.

        Returns:
            The model's input, float32 [B, T, 3, h, w], and distributions over the classes [B, C].
        """
        pixels = frames_BTHWC.movedim(-1, 2).to(torch.float32) / 255
        labels = labels.cpu()
        pixels, labels = self._flip(pixels, labels, rng)
        pixels = self._jittered(pixels, rng)
        soft = smooth_labels(labels, len(self.mirror), self.smoothing)
        pixels, soft = mix(pixels, soft, self.settings, rng)
        mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (self.preprocess.mean, self.preprocess.std))
        return (pixels - mean) / std, soft.to(pixels.device)

    def _flip(self, pixels: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        mirrored = self.mirror[labels]
        chosen = torch.from_numpy(rng.random(len(labels)) < self.settings.flip) & (mirrored >= 0)
        rows = chosen.nonzero()[:, 0].to(pixels.device)
        pixels[rows] = pixels[rows].flip(-1)
        return pixels, torch.where(chosen, mirrored, labels)

    def _jittered(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        draws, strengths, settings = rng.random((len(pixels), 2)), rng.random((len(pixels), 4)), self.settings
        rows = np.flatnonzero(draws[:, 0] < settings.jitter)
        if len(rows):
            most = np.array([settings.brightness, settings.contrast, settings.saturation, settings.hue])
            change = torch.from_numpy((2 * strengths[rows] - 1) * most).to(pixels)
            chosen = torch.from_numpy(rows).to(pixels.device)
            pixels[chosen] = jitter(pixels[chosen], *change.unbind(1))
        rows = np.flatnonzero(draws[:, 1] < settings.greyscale)
        chosen = torch.from_numpy(rows).to(pixels.device)
        pixels[chosen] = luma(pixels[chosen]).expand(-1, -1, 3, -1, -1)
        return pixels


def luma(pixels_BTCHW: Tensor) -> Tensor:
    """Brightness to the eye, [B, T, 1, h, w], of colours in [0, 1]."""
    weights = pixels_BTCHW.new_tensor(_LUMA).view(3, 1, 1)
    return (pixels_BTCHW * weights).sum(2, keepdim=True)


def jitter(pixels_BTCHW: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Change colours in [0, 1], each clip by its own four changes [B], 0 being none.

    Brightness is multiplied by 1 + brightness; contrast is about the mean brightness of the *clip*, saturation about
    the grey of each pixel; the hue turns by `hue` of the circle.
    """
    b, c, s = ((1 + change).view(-1, 1, 1, 1, 1) for change in (brightness, contrast, saturation))
    pixels = (pixels_BTCHW * b).clamp(0, 1)
    middle = luma(pixels).mean((1, 2, 3, 4), keepdim=True)
    pixels = (middle + (pixels - middle) * c).clamp(0, 1)
    gray = luma(pixels)
    pixels = (gray + (pixels - gray) * s).clamp(0, 1)
    return turn_hue(pixels, hue) if bool(hue.any()) else pixels


def turn_hue(pixels_BTCHW: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of each clip, keeping value and saturation of HSV; `turn` [B] is in whole circles."""
    red, green, blue = pixels_BTCHW.unbind(2)
    value, low = pixels_BTCHW.amax(2), pixels_BTCHW.amin(2)
    chroma = value - low
    safe = chroma.clamp_min(1e-8)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * turn.view(-1, 1, 1, 1)
    return torch.stack([_channel(offset, hue, value, chroma) for offset in (5, 3, 1)], dim=2)


def _channel(offset: int, hue: Tensor, value: Tensor, chroma: Tensor) -> Tensor:
    place = (hue + offset) % 6
    return value - chroma * torch.minimum(place, 4 - place).clamp(0, 1)


def mix(pixels_BTCHW: Tensor, soft_BC: Tensor, settings: Augment, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mixup or cutmix each clip with another of the batch; the labels are mixed in the same proportion.

    λ, the share of a clip's own pixels, is drawn from Beta(α, α). Mixup blends the clips; cutmix gives a rectangle of
    1 − λ of the area, the same in all frames, to the other clip, and λ becomes the share of pixels truly left.
    """
    count, (height, width) = len(pixels_BTCHW), pixels_BTCHW.shape[-2:]
    partner = torch.from_numpy(rng.permutation(count))
    cut = rng.random(count) < settings.mix_switch
    blends, cuts = (rng.beta(a, a, count) if a else np.ones(count) for a in (settings.mixup, settings.cutmix))
    centers = rng.random((count, 2))
    if not (settings.mixup and settings.cutmix):
        cut[:] = settings.cutmix > 0
    own = np.ones((count, height, width), dtype=np.float32)
    for row in range(count):
        if cut[row]:
            top, bottom, left, right = _box(float(cuts[row]), centers[row].tolist(), height, width)
            own[row, top:bottom, left:right] = 0
        else:
            own[row] = blends[row]
    share = torch.from_numpy(own.mean((1, 2), dtype=np.float64).astype(np.float32))[:, None].to(soft_BC.device)
    weight = torch.from_numpy(own)[:, None, None].to(pixels_BTCHW.device)
    pixels = weight * pixels_BTCHW + (1 - weight) * pixels_BTCHW[partner.to(pixels_BTCHW.device)]
    return pixels, share * soft_BC + (1 - share) * soft_BC[partner.to(soft_BC.device)]


def _box(kept: float, center: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a box of 1 − `kept` of the area about a centre, cut off at the edges."""
    half = (1 - kept) ** 0.5 / 2
    edges: list[int] = []
    for middle, length in zip(center, (height, width), strict=True):
        edges += [min(max(round((middle + way * half) * length), 0), length) for way in (-1, 1)]
    return edges[0], edges[1], edges[2], edges[3]
