"""Heat maps: relevance as a colour overlay on its frame, and pictures as data URIs for a page."""

from __future__ import annotations

from base64 import b64encode
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

# Magma at 17 even steps (matplotlib, CC0). Lightness rises evenly along it, so that it reads in black and white.
_MAGMA = """
000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf
"""
_LEAST_SIDE = 192
"""Pixels of the shorter side of a picture; smaller frames are enlarged, so that maps look smooth on them."""
_DARKEST, _LIGHTEST = 40, 160
"""Greys of the frame's black and white where nothing is relevant, both darker than what is most relevant."""
_COVER = 0.72
"""How much of the frame the greatest relevance covers."""


def colors(values: Floats) -> Picture:
    """Values in [0, 1] of any shape to colours [..., 3], dark to light."""
    steps = np.array([list(bytes.fromhex(color)) for color in _MAGMA.split()], dtype=np.float64)
    positions = np.clip(values, 0, 1) * (len(steps) - 1)
    channels = [np.interp(positions, np.arange(len(steps)), steps[:, channel]) for channel in range(3)]
    return np.asarray(np.stack(channels, -1).round(), dtype=np.uint8)


def intensity(maps_Thw: Floats) -> Floats:
    """Heat map intensity on one scale for the whole clip, in [0, 1]: the root of the share of the greatest relevance.

    Relevance is unevenly spread; the root lets a tenth of the greatest still be seen.
    """
    greatest = maps_Thw.max(initial=0)
    scaled = np.sqrt(np.clip(maps_Thw, 0, None) / greatest) if greatest > 0 else np.zeros_like(maps_Thw)
    return np.asarray(scaled, dtype=np.float32)


def enlarge(frame: Picture) -> Picture:
    """A frame [H, W, 3], larger by a whole factor if it is small."""
    factor = -(-_LEAST_SIDE // min(frame.shape[:2]))
    return np.asarray(frame.repeat(factor, 0).repeat(factor, 1) if factor > 1 else frame)


def heat_picture(frame: Picture, intensity_hw: Floats) -> Picture:
    """A grey frame with its heat map as overlay, a line around intensities above one half; unchanged where it is 0.

    Args:
        frame: [H, W, 3].
        intensity_hw: values in [0, 1] on the grid of patches.

    Returns:
        As large as `enlarge(frame)`.
    """
    large = enlarge(frame)
    values = _smooth(intensity_hw, large.shape[:2])
    gray = _scene(large @ np.array([0.299, 0.587, 0.114]))[..., None]
    picture = _cover(gray, values)
    picture[_edge(values > 0.5)] = 255
    return picture


def ramp(width: int, height: int) -> Picture:
    """The scale of `heat_picture` on a mid-grey scene, none to most [height, width, 3]."""
    values = np.linspace(0, 1, width, dtype=np.float32)
    return _cover(np.full((height, width, 1), _scene(128)), np.broadcast_to(values, (height, width)))


def _scene(gray: Any) -> Any:
    return _DARKEST + gray * (_LIGHTEST - _DARKEST) / 255


def _cover(gray: NDArray[Any], values: Floats) -> Picture:
    cover = _COVER * values[..., None]
    # The ramp's dark end would darken the scene.
    return np.asarray(((1 - cover) * gray + cover * colors(0.35 + 0.65 * values)).round(), dtype=np.uint8)


def _smooth(values_hw: Floats, size: tuple[int, ...]) -> Floats:
    tensor = torch.from_numpy(np.ascontiguousarray(values_hw))[None, None]
    return np.asarray(F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0].numpy())


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The border of a region, two pixels wide."""
    padded = np.pad(inside, 2, mode="edge")
    height, width = inside.shape
    shifted = [padded[2 + down :, 2 + right :][:height, :width] for down in (-2, 0, 2) for right in (-2, 0, 2)]
    return np.asarray(inside & ~np.logical_and.reduce(shifted))


def png(picture: Picture) -> bytes:
    """A picture [H, W, 3] as a PNG file."""
    codec: Any = av.CodecContext.create("png", "w")
    codec.height, codec.width = picture.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def data_uri(picture: Picture) -> str:
    """A picture as an address that holds it."""
    return "data:image/png;base64," + b64encode(png(picture)).decode()
