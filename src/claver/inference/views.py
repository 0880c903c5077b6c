"""Views of videos: how many clips and crops of each, and their pixels on the way from a worker process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from claver.data.clips import ClipLocation
from claver.errors import ClaverError
from claver.video import Damage, Preprocess, VideoViews, read_views


@dataclass(frozen=True)
class Views:
    """Views of each video: `temporal` clips of it times `crops` square crops of each frame (1 or 3)."""

    temporal: int = 1
    crops: Literal[1, 3] = 1

    @classmethod
    def parse(cls, text: str) -> Views:
        """From `4x3` (the paper's test: 4 clips, 3 crops) or `1x1`.

        Raises:
            ClaverError: another form, or crops other than 1 and 3.
        """
        match = re.fullmatch(r"([1-9]\d?)[x×]([13])", text.strip())
        if match is None:
            raise ClaverError(f"views must be clips x crops with 1 or 3 crops, such as 4x3 or 1x1, not {text!r}")
        return cls(int(match[1]), 3 if match[2] == "3" else 1)

    def __str__(self) -> str:
        return f"{self.temporal}x{self.crops}"


@dataclass(frozen=True)
class PackedViews:
    """Views on their way from a worker: an array, unlike a tensor, needs no open file handle to change process."""

    pixels: npt.NDArray[np.uint8]
    seconds: npt.NDArray[np.float64] | None
    damage: Damage | None

    @classmethod
    def of(cls, views: VideoViews) -> PackedViews:
        """Views as bytes, ready to leave."""
        return cls(views.pixels.numpy(), views.seconds, views.damage)

    def unpacked(self) -> VideoViews:
        """The views, where they arrived."""
        return VideoViews(torch.from_numpy(self.pixels), self.seconds, self.damage)


def load_views(
    location: ClipLocation, *, frames: int, views: Views, preprocess: Preprocess, threads: int
) -> PackedViews:
    """What a worker does for one file. Bytes are a quarter of normalised floats."""
    settings: dict[str, Any] = {"temporal_views": views.temporal, "crops": views.crops, "threads": threads}
    with location.named():
        read = read_views(location.source(), frames=frames, preprocess=preprocess, normalized=False, **settings)
    return PackedViews.of(read)
