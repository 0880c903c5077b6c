"""What the ffmpeg program makes of a video: an independent judge of which frames are shown, and in which order."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")


def ffmpeg(*arguments: str | Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout


def shown(path: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    """The frames as a player shows them, `uint8 [F, height, width, 3]`."""
    size = ("-s", f"{width}x{height}", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    data = ffmpeg("-threads", "1", "-i", f"file:{path}", "-fps_mode", "passthrough", *size)
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, height, width, 3)


def same_frames(ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> bool:
    """Whether both show the same in the same order; conversions to RGB differ a little between versions of FFmpeg."""
    return ours.shape == theirs.shape and bool((np.abs(ours.astype(int) - theirs).mean((1, 2, 3)) < 3).all())
