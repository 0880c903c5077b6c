"""Windows of many videos: decoded ahead in threads, and computed in batches that reach across files."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue

import numpy as np
import torch
from torch import Tensor

from claver.errors import ClaverError, VideoError, in_short
from claver.inference.windows import Floats, TokenCache, WindowEncoder, Windows
from claver.video import Damage, VideoReader

_POLL = 0.1  # seconds between two looks at whether a thread is to end

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
    """

    path: str
    windows: Windows = field(repr=False)
    duration: float
    damage: Damage | None


@dataclass(frozen=True)
class Unencoded:
    """A video without windows, and why; `passing` where the cause says nothing of its contents."""

    path: str
    error: VideoError
    passing: bool = False


@dataclass(frozen=True)
class _Frames:
    """Decoded frames of a video, as the model takes them, uint8 [n, 3, h, w]."""

    path: str
    ticks: list[int]
    pixels: Tensor
    duration: float


@dataclass(frozen=True)
class _End:
    """No more frames of a video will come."""

    path: str
    duration: float = 0.0
    damage: Damage | None = None
    error: Unencoded | None = None


class _StoppedError(Exception):
    """The reader of a thread's work is gone."""


def encode_videos(
    encoder: WindowEncoder,
    paths: Iterable[str],
    *,
    threads: int = 1,
    prepare: Callable[[str], None] = lambda path: None,
    glance: Glance = lambda path, seconds: None,
) -> Iterator[EncodedVideo | Unencoded]:
    """Encode many videos, each as `encoder` does, as soon as each is complete, which may be out of order.

    Frames and windows of several videos go through the towers together, so that thousands of short clips cost no more
    than one long film. Memory does not depend on their number or length, but for the windows of unfinished videos.

    Args:
        encoder: the model, fps and stride.
        paths: of the videos, no two alike; taken one by one, as threads are free.
        threads: that decode, each its own video, while the model computes.
        prepare: called in the thread before a video is opened.
        glance: called as a video's frames arrive.

    Raises:
        ClaverError: fewer than one thread.
    """
    if threads < 1:
        raise ClaverError(f"threads is a number of threads that decode, at least 1, not {threads}")
    decoding = _Decoding(encoder, iter(paths), prepare, threads)
    with closing(decoding):
        yield from _Towers(encoder, glance).encode(decoding)


class _Decoding:
    """Threads that decode, and the bounded queue of what they give."""

    def __init__(
        self, encoder: WindowEncoder, paths: Iterator[str], prepare: Callable[[str], None], threads: int
    ) -> None:
        self._encoder, self._paths, self._prepare = encoder, paths, prepare
        self._queue: Queue[_Frames | _End | BaseException | None] = Queue(maxsize=2 * threads + 2)
        self._stop, self._next = threading.Event(), threading.Lock()
        self._left = threads
        for _ in range(threads):
            threading.Thread(target=self._work, daemon=True).start()

    def __iter__(self) -> Iterator[_Frames | _End]:
        while self._left:
            try:
                item = self._queue.get(timeout=_POLL)  # so that Ctrl-C is heard between two looks
            except Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            if item is None:
                self._left -= 1
            else:
                yield item

    def close(self) -> None:
        """Have the threads end as soon as they can."""
        self._stop.set()

    def _work(self) -> None:
        try:
            while (path := self._take()) is not None:
                self._decode(path)
            self._put(None)
        except _StoppedError:
            pass
        except BaseException as error:  # whatever ends a thread, nobody is to wait for it
            with suppress(_StoppedError):
                self._put(error)

    def _take(self) -> str | None:
        with self._next:
            return None if self._stop.is_set() else next(self._paths, None)

    def _decode(self, path: str) -> None:
        try:
            self._prepare(path)
            with VideoReader(path) as reader, closing(reader.frames(fps=self._encoder.fps)) as frames:
                for ticks, pixels in self._encoder.batches(frames, path):
                    self._put(_Frames(path, ticks, pixels, reader.info.duration))
                self._put(_End(path, reader.info.duration, frames.damage))
        except _StoppedError:
            raise
        except Exception as error:
            self._put(_End(path, error=_unencoded(path, error)))

    def _put(self, item: _Frames | _End | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_POLL)
                return
            except Full:
                continue
        raise _StoppedError


def _unencoded(path: str, error: Exception) -> Unencoded:
    """An error without its traceback, which would keep what was decoded."""
    if isinstance(error, VideoError):
        return Unencoded(path, VideoError(str(error)))
    name = in_short(path)
    if isinstance(error, MemoryError):
        return Unencoded(path, VideoError(f"{name}: there is not enough memory for its frames."), passing=True)
    if isinstance(error, OSError):
        return Unencoded(path, VideoError(f"{name}: {error.strerror or error}."), passing=True)
    return Unencoded(path, VideoError(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"))


@dataclass
class _Video:
    """A video under way: its tokens, and its windows in order, whose embeddings come later."""

    cache: TokenCache
    starts: list[Floats] = field(default_factory=list)
    stops: list[Floats] = field(default_factory=list)
    embeddings: list[Tensor] = field(default_factory=list)
    due: int = 0
    end: _End | None = None

    @property
    def complete(self) -> bool:
        return self.end is not None and sum(map(len, self.embeddings)) == self.due


class _Towers:
    """Frames in, embeddings out; both towers wait for a full batch, or for the end."""

    def __init__(self, encoder: WindowEncoder, glance: Glance) -> None:
        self._encoder, self._glance = encoder, glance
        self._frames_at_once = encoder.batch_size * encoder.stride
        self._videos: dict[str, _Video] = {}
        self._events: deque[_Frames | _End] = deque()
        self._waiting: deque[tuple[_Video, Tensor]] = deque()  # tokens [w, T, N, D] of windows that are due

    def encode(self, events: Iterable[_Frames | _End]) -> Iterator[EncodedVideo | Unencoded]:
        for event in events:
            self._events.append(event)
            if isinstance(event, _Frames):
                self._glance(event.path, event.ticks[-1] / self._encoder.fps)
            yield from self._advance(whole_batches=True)
        yield from self._advance(whole_batches=False)

    def _advance(self, *, whole_batches: bool) -> Iterator[EncodedVideo | Unencoded]:
        """Compute what is there, as far as it fills batches."""
        frames = sum(len(event.ticks) for event in self._events if isinstance(event, _Frames))
        if frames >= self._frames_at_once or not whole_batches:
            self._see()
        size = self._encoder.batch_size
        while sum(len(tokens) for _, tokens in self._waiting) >= (size if whole_batches else 1):
            self._embed(size)
        yield from self._finished()

    def _see(self) -> None:
        """The image tower on all frames that wait, and which windows are due then."""
        events, self._events = list(self._events), deque()
        pixels = [event.pixels for event in events if isinstance(event, _Frames)]
        tokens: Iterator[Tensor] = iter(())
        if pixels:
            parts = [self._encoder.tokens(part) for part in torch.cat(pixels).split(self._frames_at_once)]
            tokens = iter(torch.cat(parts).split([len(part) for part in pixels]))
        for event in events:
            video = self._video(event.path)
            if isinstance(event, _Frames):
                video.cache.add(event.ticks, next(tokens))
                self._queue(video, video.cache.due(), event.duration)
            else:
                self._end(video, event)

    def _video(self, path: str) -> _Video:
        return self._videos.setdefault(path, _Video(TokenCache(self._encoder.encoder.frames, self._encoder.stride)))

    def _end(self, video: _Video, end: _End) -> None:
        if end.error is None and not video.cache.count:
            why = VideoError(f"{in_short(end.path)}: no frame of it decodes; it is damaged, truncated or not a video.")
            end = _End(end.path, error=Unencoded(end.path, why))
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

    def _result(self, video: _Video, end: _End) -> EncodedVideo | Unencoded:
        starts, stops = np.concatenate(video.starts), np.concatenate(video.stops)
        try:
            windows = self._encoder.checked(Windows(torch.cat(video.embeddings), starts, stops), end.path)
        except VideoError as error:
            return Unencoded(end.path, VideoError(str(error)))
        return EncodedVideo(end.path, windows, end.duration, end.damage)
