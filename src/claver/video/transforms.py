"""Preprocessing of frames: resize, crop, normalise. Tensors only, all frames at once, on their device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Interpolation = Literal["bicubic", "bilinear"]
Resize = Literal["short_side", "squash"]
Center = Literal["rounded", "floored"]
Crops = Literal[1, 3]
Triple = tuple[float, float, float]
_LARGEST = 2**17

# Most pixels of frames that are resized together, and of one: a GIF of 250 bytes may be 65,535 wide and one high.
_RESIZED_PIXELS = 2**25


class FramesTooNarrowError(ValueError):
    """Frames that would become huge when their short side is resized."""


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing settings: the short side is resized to `short_side`, then squares of `size` are cropped (pixels).

    With `resize="squash"` both sides are resized to `short_side`, whatever that does to the proportions. Where the
    central crop lies between two pixels, `center="rounded"` rounds as torchvision does, `"floored"` as transformers.
    `mean` and `std` are those of RGB values in [0, 1]. `Preprocess()` is the paper's (CLIP's constants, bicubic, 256 to
    224); `Preprocess.released()` that of the released code.
    """

    size: int = 224
    short_side: int = 256
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD
    interpolation: Interpolation = "bicubic"
    resize: Resize = "short_side"
    center: Center = "rounded"

    def __post_init__(self) -> None:
        if type(self.size) is not int or type(self.short_side) is not int:
            raise ValueError(f"size and short_side are whole numbers, not {self.size!r} and {self.short_side!r}")
        if not 1 <= self.size <= self.short_side:
            raise ValueError(f"size must be in 1 ... short_side ({self.short_side}), not {self.size}")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise ValueError(f"interpolation must be 'bicubic' or 'bilinear', not {self.interpolation!r}")
        if self.short_side > _LARGEST:
            raise ValueError(f"short_side is {self.short_side} pixels, more than {_LARGEST}")
        if self.resize not in ("short_side", "squash"):
            raise ValueError(f"resize must be 'short_side' or 'squash', not {self.resize!r}")
        if self.center not in ("rounded", "floored"):
            raise ValueError(f"center must be 'rounded' or 'floored', not {self.center!r}")
        _check_constants("mean", self.mean)
        _check_constants("std", self.std, above_zero=True)
        # Read back from JSON they are lists.
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))

    @classmethod
    def paper(cls, size: int = 224) -> Preprocess:
        """The paper's preprocessing for inputs of `size` pixels: the short side is 256/224 of it."""
        return cls(size=size, short_side=round(size * 256 / 224))

    @classmethod
    def released(cls, size: int = 224) -> Preprocess:
        """The released code's preprocessing: ImageNet's constants, bilinear, the short side resized to `size`."""
        return cls(size=size, short_side=size, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="bilinear")

    def __call__(self, frames: Tensor | npt.NDArray[np.uint8], crops: Crops = 1) -> Tensor:
        """RGB frames `uint8 [T, H, W, 3]` to `float32 [crops, T, 3, size, size]`, on the device of `frames`.

        One crop is the centre; three lie along the long side: left, centre, right, or top, centre, bottom.
        """
        return normalize(self.crop(frames, crops), self.mean, self.std)

    def crop(self, frames: Tensor | npt.NDArray[np.uint8], crops: Crops = 1) -> Tensor:
        """The same without the normalisation: resized and cropped, `uint8 [crops, T, 3, size, size]`."""
        if crops not in (1, 3):
            raise ValueError(f"crops must be 1 or 3, not {crops}")
        pixels_TCHW = _channels_first(frames)
        height, width = _resized_size(pixels_TCHW, self.short_side, self.resize)
        parts = pixels_TCHW.split(max(1, _RESIZED_PIXELS // (height * width)))
        if len(parts) == 1:
            return self._cropped(parts[0], crops)
        return torch.cat([self._cropped(part, crops).contiguous() for part in parts], dim=1)

    def _cropped(self, frames_TCHW: Tensor, crops: Crops) -> Tensor:
        resized_TCHW = resize_frames(frames_TCHW, self.short_side, self.interpolation, self.resize)
        if crops == 3:
            return three_crops(resized_TCHW, self.size)
        return center_crop(resized_TCHW, self.size, self.center)[None]


def resize_short_side(frames_TCHW: Tensor, short: int, interpolation: Interpolation = "bicubic") -> Tensor:
    """Resize `[T, C, H, W]` so that the shorter of H and W is `short`, antialiased, keeping the shape and the dtype.

    The longer side is rounded down, as torchvision does.
    """
    return resize_frames(frames_TCHW, short, interpolation)


def resize_frames(
    frames_TCHW: Tensor, short: int, interpolation: Interpolation = "bicubic", resize: Resize = "short_side"
) -> Tensor:
    """As `resize_short_side`, or with `squash` to `[T, C, short, short]`.

    Raises `FramesTooNarrowError` for frames so narrow that they would become huge.
    """
    size = _resized_size(frames_TCHW, short, resize)
    if size == tuple(frames_TCHW.shape[-2:]):
        return frames_TCHW
    whole_numbers = frames_TCHW.dtype == torch.uint8 and frames_TCHW.device.type != "cpu"
    pixels = frames_TCHW.float() if whole_numbers else frames_TCHW  # only the CPU resizes uint8 by itself
    resized = nn.functional.interpolate(pixels, size=size, mode=interpolation, antialias=True, align_corners=False)
    return resized.round_().clamp_(0, 255).to(torch.uint8) if whole_numbers else resized


def _resized_size(frames_TCHW: Tensor, short: int, resize: Resize) -> tuple[int, int]:
    height, width = frames_TCHW.shape[-2:]
    scale = min(height, width)
    size = (short, short) if resize == "squash" else (short * height // scale, short * width // scale)
    if size[0] * size[1] > max(_RESIZED_PIXELS, height * width):
        raise FramesTooNarrowError(
            f"frames of {height} × {width} pixels are too narrow: with a short side of {short} they would have "
            f"{size[0]} × {size[1]}"
        )
    return size


def center_crop(frames: Tensor, size: int, center: Center = "rounded") -> Tensor:
    """The central square `[..., size, size]` of `[..., H, W]`; `ValueError` when the picture is smaller."""
    top, left = ((side - size) / 2 for side in frames.shape[-2:])
    place = round if center == "rounded" else int
    return _crop(frames, place(top), place(left), size)


def three_crops(frames: Tensor, size: int) -> Tensor:
    """Three squares along the longer side of `[..., H, W]`, centred on the shorter: `[3, ..., size, size]`."""
    height, width = frames.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    if width >= height:
        return torch.stack([_crop(frames, top, x, size) for x in (0, left, width - size)])
    return torch.stack([_crop(frames, y, left, size) for y in (0, top, height - size)])


def normalize(pixels: Tensor, mean: Triple = CLIP_MEAN, std: Triple = CLIP_STD) -> Tensor:
    """`uint8 [..., 3, H, W]` to `float32`: (pixels / 255 − mean) / std, each channel with its own."""
    mean_C11 = torch.tensor(mean, device=pixels.device).view(3, 1, 1) * 255
    std_C11 = torch.tensor(std, device=pixels.device).view(3, 1, 1) * 255
    return pixels.to(torch.float32, copy=True, memory_format=torch.contiguous_format).sub_(mean_C11).div_(std_C11)


def _check_constants(name: str, values: object, *, above_zero: bool = False) -> None:
    sound = isinstance(values, tuple | list) and len(values) == 3
    sound = sound and all(isinstance(value, int | float) and math.isfinite(value) for value in values)  # type: ignore
    if not sound or (above_zero and min(values) <= 0):  # type: ignore[call-overload]
        limit = ", each above 0" if above_zero else ""
        raise ValueError(f"{name} must be three finite numbers{limit}, not {values!r}")


def _crop(frames: Tensor, top: int, left: int, size: int) -> Tensor:
    height, width = frames.shape[-2:]
    if size > min(height, width):
        raise ValueError(f"a crop of {size} pixels does not fit into a picture of {height} × {width}")
    return frames[..., top : top + size, left : left + size]


def _channels_first(frames: Tensor | npt.NDArray[Any]) -> Tensor:
    """`[T, H, W, 3]` as `[T, 3, H, W]` without a copy: resizing is quickest with the channels last in memory."""
    tensor = frames if isinstance(frames, Tensor) else torch.from_numpy(np.ascontiguousarray(frames))
    if tensor.ndim != 4 or tensor.shape[-1] != 3 or tensor.dtype != torch.uint8:
        raise ValueError(f"frames must be uint8 [T, H, W, 3], not {tensor.dtype} {list(tensor.shape)}")
    return tensor.permute(0, 3, 1, 2)
