"""Windows of many videos: decoded ahead, and computed in batches that reach across files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from claver.errors import ClaverError, VideoError, in_short
from claver.inference.cutting import Unencoded, VideoEnd, VideoFrames, no_note
from claver.inference.frames_ahead import FramesAhead
from claver.inference.windows import Floats, TokenCache, WindowEncoder, Windows
from claver.video import Damage
from claver.video.prefetch import DECODE_TIMEOUT

__all__ = ["EncodedVideo", "Glance", "Unencoded", "encode_videos"]

Glance = Callable[[str, float], None]
"""Called with a video and the seconds of it that were decoded so far."""


@dataclass(frozen=True)
class EncodedVideo:
    """All windows of one video.

    Attributes:
        path: of the video.
        windows: at least one.
        duration: seconds of the video.
        damage: what is known to be wrong with it; None when nothing is.
        note: what was noted of the file.
    """

    path: str
    windows: Windows = field(repr=False)
    duration: float
    damage: Damage | None
    note: str = ""


def encode_videos(
    encoder: WindowEncoder,
    paths: Iterable[str],
    *,
    workers: int = 0,
    threads: int = 1,
    decode_timeout: float | None = DECODE_TIMEOUT,
    note: Callable[[str], str] = no_note,
    glance: Glance = lambda path, seconds: None,
) -> Iterator[EncodedVideo | Unencoded]:
    """Encode many videos, each as `encoder` does, as soon as each is complete, which may be out of order.

    Frames and windows of several videos go through the towers together, so that thousands of short clips cost no more
    than one long film. Memory does not depend on their number or length, but for the windows of unfinished videos.

    Args:
        encoder: the model, fps and stride.
        paths: of the videos, no two alike; taken one by one, as they are decoded.
        workers: processes that decode, each its own video, while the model computes; a file on which a decoder crashes
            costs itself alone. They are spawned, so a script that asks for them needs the usual
            `if __name__ == "__main__":`.
        threads: of this process that decode where `workers` is 0.
        decode_timeout: seconds without a frame after which a worker gives a file up, None for never.
        note: what else is to be known of each file, done where it is decoded, before it is opened; it pickles.
        glance: called as a video's frames arrive.

    Raises:
        ClaverError: fewer than no worker or one thread, or no process starts.
    """
    if workers < 0 or threads < 1:
        what = f"threads is at least 1, not {threads}" if workers >= 0 else f"workers is at least 0, not {workers}"
        raise ClaverError(f"the number of {what}")
    cutter = replace(encoder.cutter, note=note)
    ahead = FramesAhead(cutter, iter(paths), workers=workers, threads=threads, timeout=decode_timeout)
    with closing(ahead):
        yield from _Towers(encoder, glance).encode(ahead)


@dataclass
class _Video:
    """A video under way: its tokens, and its windows in order, whose embeddings come later."""

    cache: TokenCache
    starts: list[Floats] = field(default_factory=list)
    stops: list[Floats] = field(default_factory=list)
    embeddings: list[Tensor] = field(default_factory=list)
    due: int = 0
    end: VideoEnd | None = None

    @property
    def complete(self) -> bool:
        return self.end is not None and sum(map(len, self.embeddings)) == self.due


class _Towers:
    """Frames in, embeddings out; both towers wait for a full batch, or for the end."""

    def __init__(self, encoder: WindowEncoder, glance: Glance) -> None:
        self._encoder, self._glance = encoder, glance
        self._frames_at_once = encoder.batch_size * encoder.stride
        self._videos: dict[str, _Video] = {}
        self._events: deque[VideoFrames | VideoEnd] = deque()
        self._waiting: deque[tuple[_Video, Tensor]] = deque()  # tokens [w, T, N, D] of windows that are due

    def encode(self, events: Iterable[VideoFrames | VideoEnd]) -> Iterator[EncodedVideo | Unencoded]:
        for event in events:
            self._events.append(event)
            if isinstance(event, VideoFrames):
                self._glance(event.path, event.ticks[-1] / self._encoder.fps)
            yield from self._advance(whole_batches=True)
        yield from self._advance(whole_batches=False)

    def _advance(self, *, whole_batches: bool) -> Iterator[EncodedVideo | Unencoded]:
        """Compute what is there, as far as it fills batches."""
        frames = sum(len(event.ticks) for event in self._events if isinstance(event, VideoFrames))
        if frames >= self._frames_at_once or not whole_batches:
            self._see()
        size = self._encoder.batch_size
        while sum(len(tokens) for _, tokens in self._waiting) >= (size if whole_batches else 1):
            self._embed(size)
        yield from self._finished()

    def _see(self) -> None:
        """The image tower on all frames that wait, and which windows are due then."""
        events, self._events = list(self._events), deque()
        pixels = [torch.from_numpy(event.pixels) for event in events if isinstance(event, VideoFrames)]
        tokens: Iterator[Tensor] = iter(())
        if pixels:
            parts = [self._encoder.tokens(part) for part in torch.cat(pixels).split(self._frames_at_once)]
            tokens = iter(torch.cat(parts).split([len(part) for part in pixels]))
        for event in events:
            video = self._video(event.path)
            if isinstance(event, VideoFrames):
                video.cache.add(event.ticks, next(tokens))
                self._queue(video, video.cache.due(), event.duration)
            else:
                self._end(video, event)

    def _video(self, path: str) -> _Video:
        return self._videos.setdefault(path, _Video(TokenCache(self._encoder.encoder.frames, self._encoder.stride)))

    def _end(self, video: _Video, end: VideoEnd) -> None:
        if end.error is None and not video.cache.count:
            why = VideoError(f"{in_short(end.path)}: no frame of it decodes; it is damaged, truncated or not a video.")
            end = VideoEnd(end.path, error=Unencoded(end.path, why, note=end.note))
        elif end.error is None:
            self._queue(video, video.cache.rest(), end.duration)
        video.end = end

    def _queue(self, video: _Video, rows: Sequence[Sequence[int]], duration: float) -> None:
        if rows:
            starts, stops = video.cache.spans(rows, self._encoder.fps, duration)
            video.starts.append(starts)
            video.stops.append(stops)
            video.due += len(rows)
            self._waiting.append((video, video.cache.tokens(rows)))

    def _embed(self, size: int) -> None:
        """The temporal tower on the first windows that wait."""
        taken: list[tuple[_Video, Tensor]] = []
        while self._waiting and size > 0:
            video, tokens = self._waiting.popleft()
            taken.append((video, tokens[:size]))
            if len(tokens) > size:
                self._waiting.appendleft((video, tokens[size:]))
            size -= len(taken[-1][1])
        found = self._encoder.embed(torch.cat([tokens for _, tokens in taken]))
        for (video, _), part in zip(taken, found.split([len(tokens) for _, tokens in taken]), strict=True):
            video.embeddings.append(part)

    def _finished(self) -> Iterator[EncodedVideo | Unencoded]:
        for path in [path for path, video in self._videos.items() if video.complete]:
            video = self._videos.pop(path)
            assert video.end is not None
            yield video.end.error or self._result(video, video.end)

    def _result(self, video: _Video, end: VideoEnd) -> EncodedVideo | Unencoded:
        starts, stops = np.concatenate(video.starts), np.concatenate(video.stops)
        try:
            windows = self._encoder.checked(Windows(torch.cat(video.embeddings), starts, stops), end.path)
        except VideoError as error:
            return Unencoded(end.path, VideoError(str(error)), note=end.note)
        return EncodedVideo(end.path, windows, end.duration, end.damage, end.note)
