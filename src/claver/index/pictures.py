"""A small picture of a moment."""

from __future__ import annotations

from contextlib import closing

from claver.errors import VideoError
from claver.explain.render.heat_map import Picture

HEIGHT = 160


def picture_at(path: str, seconds: float) -> Picture | None:
    """The frame of a video at a time, made small.

    Args:
        path: of the video.
        seconds: the time.

    Returns:
        uint8 [160, w, 3], w at most four times as much; None where the file is gone, ends before, or does not decode.
    """
    import torch
    from torch.nn import functional as F

    from claver.video import VideoReader

    try:
        with VideoReader(path, threads=1) as reader, closing(reader.frames(start=seconds)) as frames:
            pixels = next(frames).pixels
    except (VideoError, OSError, StopIteration):
        return None
    height, width = pixels.shape[:2]
    size = (HEIGHT, max(1, min(round(HEIGHT * width / height), 4 * HEIGHT)))
    picture_3HW = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    small = F.interpolate(picture_3HW, size, mode="bilinear", antialias=True)[0]
    return small.permute(1, 2, 0).contiguous().numpy()
