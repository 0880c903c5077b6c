"""Frames in memory instead of a file: an array of them, or a list of arrays or pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from claver.errors import VideoError

Frames = npt.NDArray[np.uint8]
_CHANNELS = (1, 3, 4)


def are_frames(source: Any) -> bool:
    """Whether a source is frames, rather than a file, its bytes or a stream."""
    return isinstance(source, np.ndarray | Tensor | list | tuple) or _is_picture(source)


def count_frames(source: Any) -> int:
    """The number of frames.

    Raises:
        VideoError: what was given is no frames.
    """
    if _is_picture(source):
        return 1
    if isinstance(source, np.ndarray | Tensor):
        _check_array(source)
    if len(source) == 0:
        raise VideoError("<frames>: there is no frame; give at least one.")
    return len(source)


def frames_at(source: Any, indices: npt.NDArray[np.int64]) -> Frames | Tensor:
    """Some frames as RGB, uint8 [U, H, W, 3]; grey is repeated, and alpha left out, as it is when a file is read.

    Args:
        source: uint8 [T, H, W, 3], RGBA [T, H, W, 4], grey [T, H, W, 1] or [T, H, W]; or a list of such frames, each
            without T, or of PIL images, all of one size.
        indices: which.

    Raises:
        VideoError: frames of another type or shape, or of several sizes.
    """
    if isinstance(source, np.ndarray | Tensor):
        return _rgb(source[indices])
    pictures = [source] if _is_picture(source) else source
    frames = [_one(pictures[index], int(index)) for index in indices]
    for index, frame in zip(indices, frames, strict=True):
        if frame.shape != frames[0].shape:
            sizes = [f"{height} x {width}" for height, width, _ in (frame.shape, frames[0].shape)]
            raise VideoError(
                f"<frames>: frame {index} is {sizes[0]}, frame {indices[0]} {sizes[1]}; give all in one size."
            )
    return np.stack(frames)


def _is_picture(source: Any) -> bool:
    """Whether it is a PIL image, which need not be imported to tell."""
    return all(hasattr(source, name) for name in ("convert", "mode", "getbands"))


def _check_array(frames: npt.NDArray[Any] | Tensor) -> None:
    """A single frame [H, W, 3] is not taken for H grey frames three pixels wide."""
    whole = frames.ndim == 4 and frames.shape[-1] in _CHANNELS
    gray = frames.ndim == 3 and frames.shape[-1] not in _CHANNELS
    if not ((whole or gray) and _is_bytes(frames)):
        hint = "; one frame goes into a list" if frames.ndim == 3 and frames.shape[-1] in _CHANNELS else ""
        form = "uint8 [T, H, W, 3], or grey [T, H, W], or RGBA [T, H, W, 4]"
        raise VideoError(f"<array>: frames must be {form}, not {frames.dtype} {list(frames.shape)}{hint}.")


def _one(frame: Any, index: int) -> Frames:
    if _is_picture(frame):
        if frame.mode.startswith(("I", "F")):
            raise VideoError(
                f"<frames>: frame {index} is an image of mode {frame.mode}, which is not 8 bits a channel."
            )
        return np.asarray(frame.convert("RGB"), dtype=np.uint8)
    if isinstance(frame, Tensor):
        frame = frame.cpu().numpy()
    right = isinstance(frame, np.ndarray) and _is_bytes(frame)
    if not right or not (frame.ndim == 2 or (frame.ndim == 3 and frame.shape[-1] in _CHANNELS)) or not frame.size:
        what = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        many = "; many files go to Recognizer.stream" if isinstance(frame, str) else ""
        form = "uint8 [H, W, 3], grey [H, W], RGBA [H, W, 4] or a PIL image"
        raise VideoError(f"<frames>: frame {index} must be {form}, not {what}{many}.")
    return np.asarray(_rgb(frame[None] if frame.ndim == 3 else frame[None, :, :, None])[0])


def _is_bytes(frames: npt.NDArray[Any] | Tensor) -> bool:
    return str(frames.dtype).endswith("uint8") and min(frames.shape) > 0


def _rgb(frames: Any) -> Frames | Tensor:
    """[T, H, W], [T, H, W, 1], [T, H, W, 3] or [T, H, W, 4] to [T, H, W, 3]."""
    frames = frames[..., None] if frames.ndim == 3 else frames
    return frames[..., [0, 0, 0]] if frames.shape[-1] == 1 else frames[..., :3]
