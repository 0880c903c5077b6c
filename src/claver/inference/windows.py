"""A video of any length as embeddings of overlapping windows: every frame encoded once, in bounded memory."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.closing import Closing
from claver.errors import ClaverError, VideoError
from claver.inference.cutting import Cutter, Watch
from claver.inference.encoder import VideoEncoder, name_of
from claver.models.objective import video_embedding
from claver.video import Damage, TimedFrame, VideoInfo, VideoReader
from claver.video.iterating import FrameIterator
from claver.video.remote import reachable
from claver.video.source import Source

Floats = npt.NDArray[np.float64]


class OpenVideo(ABC):
    """A video that is read elsewhere, as in a process of its own: what windows need of it.

    Attributes:
        name: what messages call it.
        info: size, rate and duration.
    """

    name: str
    info: VideoInfo

    @abstractmethod
    def frames(self, *, fps: float) -> FrameIterator:
        """Frames evenly spaced in time, as of `VideoReader.frames`."""

    @abstractmethod
    def close(self) -> None:
        """Release it."""


@dataclass(frozen=True)
class Windows:
    """Some windows of a video, in order.

    Attributes:
        embeddings: one vector of each, not normalised, in float32 on the CPU [W, E].
        starts: seconds from the first frame of the video on, [W].
        stops: seconds at which each ends, [W], at most those of the video.
    """

    embeddings: Tensor = field(repr=False)
    starts: Floats
    stops: Floats

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """All windows of some parts."""
        starts, stops = ([getattr(part, name) for part in parts] for name in ("starts", "stops"))
        return cls(torch.cat([part.embeddings for part in parts]), np.concatenate(starts), np.concatenate(stops))


class WindowIterator(Iterator[Windows], Closing):
    """Gives the windows of one video, some at a time, until it ends or is closed, as by the end of a `with` block.

    Attributes:
        source: what is encoded, a path or a word for what it is.
        info: size, rate and duration of the video.
    """

    def __init__(self, encoder: WindowEncoder, source: Source | OpenVideo, watch: Watch | None) -> None:
        self.source = source.name if isinstance(source, OpenVideo) else name_of(source)
        self._reader: OpenVideo | VideoReader = (
            source if isinstance(source, OpenVideo) else VideoReader(reachable(source))
        )
        self.info = self._reader.info
        self._frames = self._reader.frames(fps=encoder.fps)
        self._windows = self._encode(encoder, watch)

    def _encode(self, encoder: WindowEncoder, watch: Watch | None) -> Generator[Windows, None, None]:
        with closing(self._reader), closing(self._frames):
            yield from encoder.of_frames(self._frames, self.info.duration, self.source, watch)

    def __next__(self) -> Windows:
        return next(self._windows)

    @property
    def damage(self) -> Damage | None:
        """What is known to be wrong with the video and the frames given so far; None when nothing is."""
        return self._frames.damage

    def close(self) -> None:
        """Release the file."""
        self._windows.close()
        self._frames.close()
        self._reader.close()


class WindowEncoder:
    """Encodes a video in windows of T frames, each beginning some frames after the one before.

    The image tower runs once per frame. Its tokens are cached until no window needs them any more; the temporal tower
    then costs T / stride times what it would on clips that do not overlap.

        >>> windows = WindowEncoder(VideoEncoder(model), fps=2)
        >>> for part in windows("match.mp4"): print(part.starts, part.embeddings.shape)

    Attributes:
        encoder: the model, T, and what is done to pixels. Windows are seen in one crop, the centre.
        fps: frames a second.
        stride: frames from the beginning of a window to that of the next.
        batch_size: windows computed at once.
    """

    def __init__(
        self, encoder: VideoEncoder, *, fps: float = 2.0, stride: int | None = None, batch_size: int = 8
    ) -> None:
        """Check that the settings go together.

        Args:
            encoder: the model, T, and what is done to pixels.
            fps: frames a second; a window lasts T / fps seconds.
            stride: frames from one window to the next; T / 2 if None.
            batch_size: windows computed at once; results do not depend on it.

        Raises:
            ClaverError: a rate that is not above 0, a stride outside 1 … T, or a batch size below 1.
        """
        self.encoder, self.fps, self.batch_size = encoder, float(fps), batch_size
        self.stride = max(1, encoder.frames // 2) if stride is None else stride
        if not 0 < self.fps < math.inf:
            raise ClaverError(f"fps is a number of frames per second above 0, not {fps}")
        if not 1 <= self.stride <= encoder.frames:
            raise ClaverError(f"stride is in 1 ... {encoder.frames}, the frames of a window, not {stride}")
        if batch_size < 1:
            raise ClaverError(f"batch_size is a number of windows, at least 1, not {batch_size}")

    def __call__(self, source: Source | OpenVideo, *, watch: Watch | None = None) -> WindowIterator:
        """The windows of a path, the bytes of a file, an open binary stream, or a video that is read elsewhere.

        Args:
            source: the video.
            watch: called with the seconds and pixels of each frame.

        Raises:
            VideoError: it cannot be read; also while iterating.
        """
        return WindowIterator(self, source, watch)

    def of_frames(
        self, frames: Iterator[TimedFrame], duration: float, name: str = "<frames>", watch: Watch | None = None
    ) -> Iterator[Windows]:
        """The windows of frames that were taken at `fps`.

        Args:
            frames: of a video, in order; what each shows, it shows at the next of the times 0, 1 / fps, …
            duration: seconds of the video.
            name: of it, for messages.
            watch: as of a call.

        Raises:
            VideoError: there is no frame, or the model's embeddings are not finite.
        """
        cache = TokenCache(self.encoder.frames, self.stride)
        for ticks, pixels in self.cutter.batches(frames, name, watch):
            cache.add(ticks, self.tokens(pixels))
            if rows := cache.due():
                yield self._windows(cache, rows, duration, name)
        if not cache.count:
            raise VideoError(f"{name}: no frame of it decodes; it is damaged, truncated or not a video.")
        if rows := cache.rest():
            yield self._windows(cache, rows, duration, name)

    @property
    def cutter(self) -> Cutter:
        """What makes the batches of frames that the towers take at once."""
        return Cutter(self.fps, self.batch_size * self.stride, self.encoder.preprocess)

    @torch.inference_mode()
    def tokens(self, pixels_tCHW: Tensor) -> Tensor:
        """Frames as bytes [t, 3, h, w] to their tokens [t, N, D]."""
        return self.encoder.model.image_tokens(self.encoder.normalized(pixels_tCHW)[None])[0]

    @torch.inference_mode()
    def embed(self, tokens_WTND: Tensor) -> Tensor:
        """Tokens of whole windows [W, T, N, D] to an embedding of each, float32 on the CPU [W, E], not normalised."""
        model = self.encoder.model
        return video_embedding(model.encode_tokens(tokens_WTND), model.config.aggregate).float().cpu()

    def _windows(self, cache: TokenCache, rows: Sequence[Sequence[int]], duration: float, name: str) -> Windows:
        parts = [rows[at : at + self.batch_size] for at in range(0, len(rows), self.batch_size)]
        together = torch.cat([self.embed(cache.tokens(part)) for part in parts])
        return self.checked(Windows(together, *cache.spans(rows, self.fps, duration)), name)

    def checked(self, windows: Windows, name: str) -> Windows:
        """The same windows.

        Raises:
            VideoError: an embedding is not finite.
        """
        if not bool(windows.embeddings.isfinite().all()):
            weights = f"its weights do not suit {self.encoder.model.dtype}"
            raise VideoError(f"{name}: the model gives non-finite embeddings for it; {weights}")
        return windows

    def __repr__(self) -> str:
        return f"WindowEncoder({self.encoder.frames} frames at {self.fps:g} a second, stride {self.stride})"


class TokenCache:
    """Cached tokens of the frames that windows of one video still need.

    Attributes:
        count: frames that were added so far.
    """

    def __init__(self, frames: int, stride: int) -> None:
        self.count = 0
        self._frames, self._stride = frames, stride
        self._next = 0  # the first frame of the next window
        self._first = 0  # the first frame that is cached
        self._kept: Tensor | None = None
        self._ticks: list[int] = []

    def add(self, ticks: Sequence[int], tokens_tND: Tensor) -> None:
        """Keep more frames; let go of those that no window needs, but for the last T."""
        needed = min(self._next, max(self.count - self._frames, 0))
        gone, self._first = needed - self._first, needed
        self._kept = tokens_tND if self._kept is None else torch.cat([self._kept[gone:], tokens_tND])
        self._ticks = [*self._ticks[gone:], *ticks]
        self.count += len(ticks)

    def due(self) -> list[Sequence[int]]:
        """The windows that are complete and were not given before, each as its frames."""
        rows: list[Sequence[int]] = []
        while self._next + self._frames <= self.count:
            rows.append(range(self._next, self._next + self._frames))
            self._next += self._stride
        return rows

    def rest(self) -> list[Sequence[int]]:
        """At the end, the window of the last T frames, unless it was the last given; a short video's is stretched."""
        if self.count < self._frames:
            return [[number * self.count // self._frames for number in range(self._frames)]]
        covered = self._next - self._stride + self._frames
        return [] if covered == self.count else [range(self.count - self._frames, self.count)]

    def tokens(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """The tokens of windows [W, T, N, D]."""
        assert self._kept is not None
        indices = torch.tensor([list(row) for row in rows], device=self._kept.device) - self._first
        return self._kept[indices]

    def spans(self, rows: Sequence[Sequence[int]], fps: float, duration: float) -> tuple[Floats, Floats]:
        """When windows begin and end, in seconds of a video that lasts so long, [W] each."""
        starts = np.array([self._tick(row[0]) for row in rows]) / fps
        stops = (np.array([self._tick(row[-1]) for row in rows]) + 1) / fps
        return starts, np.where(starts < duration, np.minimum(stops, duration), stops)

    def _tick(self, frame: int) -> int:
        """At which of the times 0, 1 / fps, … a frame is shown that is kept."""
        return self._ticks[frame - self._first]
