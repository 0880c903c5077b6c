"""How a stored picture is shown: the width of its pixels, and how it is turned (and mirrored) to stand upright."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer

NEARLY_SQUARE = 0.02
WIDEST = 4


@dataclass(frozen=True)
class Orientation:
    """Upright = the stored picture, transposed if `transpose`, then flipped left-right and upside down as told."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_frame(cls, frame: Any) -> Orientation:
        """Read FFmpeg's display matrix of a decoded frame; upright when it has none."""
        # `frame.side_data` would be kept by the frame it keeps: a cycle that holds the decoder's pictures in memory.
        data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # absent from the stubs
        if data is None:
            return cls()
        # The matrix has rows (a, b, ·), (c, d, ·): a stored point (x, y) is shown at (a·x + c·y, b·x + d·y).
        (a, b), (c, d) = np.frombuffer(data, dtype=np.int32, count=9).reshape(3, 3)[:2, :2].tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, flip_x=a < 0, flip_y=d < 0)
        return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)

    @property
    def degrees(self) -> int:
        """Counter-clockwise turn of the stored picture in degrees: 0, 90, 180 or 270 (a mirror image is left out)."""
        if self.transpose:
            return 270 if self.flip_x else 90
        return 180 if self.flip_y else 0

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The upright picture `[H, W, 3]`, a view of the stored one `[h, w, 3]`."""
        turned = picture.transpose(1, 0, 2) if self.transpose else picture
        return turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


def shown_width(width: int, pixel_aspect: Fraction | None) -> int:
    """How wide a picture of `width` pixels is shown, as players do: the height stays, the width is stretched or shrunk.

    `pixel_aspect` is the width of a pixel in terms of its height, None for unknown. Up to 2 % from square it stems from
    rounding the size of the picture, and beyond 4 : 1 from a damaged header: then nothing is changed.
    """
    if not pixel_aspect or abs(pixel_aspect - 1) <= NEARLY_SQUARE or not 1 / WIDEST <= pixel_aspect <= WIDEST:
        return width
    return max(round(width * pixel_aspect), 1)
