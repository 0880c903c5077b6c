"""The display matrix of a recording: how the stored picture is turned (and mirrored) to stand upright."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer


@dataclass(frozen=True)
class Orientation:
    """Upright = the stored picture, transposed if `transpose`, then flipped left-right and upside down as told."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_frame(cls, frame: Any) -> "Orientation":
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
