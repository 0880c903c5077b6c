"""Small real video files for tests."""

from pathlib import Path

import av
import numpy as np


def write_video(path: Path, *, frames: int = 12, height: int = 48, width: int = 64, seed: int = 0) -> Path:
    """A bright square that wanders over a dark picture, as MPEG-4."""
    generator = np.random.default_rng(seed)
    background = generator.integers(0, 90, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = background.copy()
            left = (7 * seed + 3 * index) % (width - 12)
            picture[10:22, left : left + 12] = 230
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
