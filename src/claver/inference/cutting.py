"""Frames of a video as a model takes them, in batches: what needs no model, and so can be done in another process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.errors import VideoError, in_short
from claver.processes import going_on, report
from claver.video import Damage, Preprocess, TimedFrame, VideoReader
from claver.video.transforms import FramesTooNarrowError

Watch = Callable[[float, npt.NDArray[np.uint8]], None]
"""Called with each frame that is encoded: its seconds, and RGB uint8 [H, W, 3]."""
_ROUNDED = 0.0015  # seconds: containers round their time stamps, Matroska to milliseconds


@dataclass(frozen=True)
class Unencoded:
    """A video without windows, and why; `passing` where the cause says nothing of its contents."""

    path: str
    error: VideoError
    passing: bool = False
    note: str = ""


@dataclass(frozen=True)
class VideoFrames:
    """Decoded frames of a video as the model takes them, uint8 [n, 3, h, w], and at which ticks they are shown."""

    path: str
    ticks: list[int]
    pixels: npt.NDArray[np.uint8] = field(repr=False)
    duration: float


@dataclass(frozen=True)
class VideoEnd:
    """No more frames of a video will come; `note` is what was noted of it."""

    path: str
    duration: float = 0.0
    damage: Damage | None = None
    error: Unencoded | None = None
    note: str = ""


def no_note(path: str) -> str:
    """Nothing."""
    return ""


@dataclass(frozen=True)
class Cutter:
    """Decodes a video and cuts its frames to size; it pickles.

    Attributes:
        fps: frames a second.
        size: frames of a batch.
        preprocess: what is done to the pixels.
        note: what else is to be known of the file, such as a digest; done before it is opened.
    """

    fps: float
    size: int
    preprocess: Preprocess
    note: Callable[[str], str] = no_note

    def __call__(self, path: str, tell: Callable[[VideoFrames], object] = report) -> VideoEnd:
        """Decode one video; whatever is wrong with it is in the end that is returned.

        Args:
            path: of the video.
            tell: called with each batch of frames; by default handed on to the process that waits for it.
        """
        note = ""
        try:
            note = self.note(path)
            with VideoReader(path, progress=going_on) as reader, closing(reader.frames(fps=self.fps)) as frames:
                duration = reader.info.duration
                for ticks, pixels in self.batches(frames, path):
                    tell(VideoFrames(path, ticks, pixels.numpy(), duration))
                return VideoEnd(path, duration, frames.damage, note=note)
        except Exception as error:
            if isinstance(error, StoppedError):
                raise
            return VideoEnd(path, error=_unencoded(path, error, note))

    def batches(
        self, frames: Iterator[TimedFrame], name: str, watch: Watch | None = None
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Numbers of ticks, and the frames shown at them as the model takes them, uint8 [n, 3, h, w].

        Args:
            frames: of a video, in order; what each shows, it shows at the next of the times 0, 1 / fps, …
            name: of it, for messages.
            watch: called with the seconds and pixels of each frame.

        Raises:
            VideoError: frames that are too narrow.
        """
        ticks: list[int] = []
        cuts: list[Tensor] = []
        tick = -1
        for frame in frames:
            going_on()
            # A frame that does not decode is left out: the next one tells by its own time how many are missing.
            tick = max(tick + 1, math.ceil((frame.seconds - _ROUNDED) * self.fps))
            if watch is not None:
                watch(tick / self.fps, frame.pixels)
            ticks.append(tick)
            cuts.append(self._cut(frame.pixels, name))
            if len(ticks) == self.size:
                yield ticks, torch.stack(cuts)
                ticks, cuts = [], []
        if ticks:
            yield ticks, torch.stack(cuts)

    def _cut(self, pixels: npt.NDArray[np.uint8], name: str) -> Tensor:
        try:
            return self.preprocess.crop(pixels[None])[0, 0].contiguous()
        except FramesTooNarrowError as error:
            raise VideoError(f"{name}: {error}.") from error


class StoppedError(Exception):
    """Whoever wanted the frames is gone."""


def _unencoded(path: str, error: Exception, note: str) -> Unencoded:
    """An error without its traceback, which would keep what was decoded."""
    if isinstance(error, VideoError):
        return Unencoded(path, VideoError(str(error)), note=note)
    name = in_short(path)
    if isinstance(error, MemoryError):
        return Unencoded(path, VideoError(f"{name}: there is not enough memory for its frames."), passing=True)
    if isinstance(error, OSError):
        return Unencoded(path, VideoError(f"{name}: {error.strerror or error}."), passing=True)
    why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return Unencoded(path, VideoError(f"{name}: {why}"), note=note)
