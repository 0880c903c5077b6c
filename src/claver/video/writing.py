"""Frames as a video file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from claver.errors import ClaverError
from claver.files import replacing


def write_clip(path: str | Path, frames: NDArray[np.uint8], fps: int | Fraction = 8) -> Path:
    """Write frames [T, H, W, 3] as H.264 in MP4, nearly lossless; the file appears whole or not at all."""
    path = Path(path)
    _check_frames(frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        encode(beside, frames, fps)
    return path


def _check_frames(frames: NDArray[np.uint8]) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise ClaverError(f"A clip is uint8 frames [T, H, W, 3], not {frames.dtype} {list(frames.shape)}.")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ClaverError(f"H.264 needs an even height and width, not {frames.shape[1]} × {frames.shape[2]}.")


def encode(path: Path, frames: NDArray[np.uint8], fps: int | Fraction) -> None:
    """Write such frames to a path as they come: who needs a whole file or none writes beside it and renames."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "12", "preset": "veryfast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"  # the one layout that every player shows
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
