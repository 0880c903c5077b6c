"""A video that another process reads: a crash of its decoder ends that process alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial

from claver.closing import Closing
from claver.errors import VideoError, in_short
from claver.inference.windows import OpenVideo
from claver.processes import WorkerDiedError, WorkerPool, going_on, report
from claver.video import Damage, TimedFrame, VideoInfo, VideoReader
from claver.video.iterating import FrameIterator
from claver.video.prefetch import DECODE_TIMEOUT, death_of_reader
from claver.video.remote import reachable

Part = VideoInfo | TimedFrame | Damage | None
Read = Callable[[str, float], Iterator[Part]]
_Task = tuple[str, float]


def read_parts(path: str, fps: float) -> Iterator[Part]:
    """What a video is, then its frames at a rate, then what is wrong with it."""
    with VideoReader(reachable(path), threads=1, progress=going_on) as video:
        yield video.info
        with video.frames(fps=fps) as frames:
            yield from frames
            yield frames.damage


class FarVideo(OpenVideo):
    """A video that `read_parts` reads in another process.

    Args:
        name: what messages call it.
        parts: what `read_parts` yields.
        fps: at which it does so.
    """

    def __init__(self, name: str, parts: Generator[Part, None, object], fps: float) -> None:
        self.name, self._parts, self._fps = name, parts, fps
        info = next(parts)
        assert isinstance(info, VideoInfo)
        self.info = info
        self._damage: Damage | None = None

    def frames(self, *, fps: float) -> FrameIterator:
        """The frames; there is one rate, and they can be had once."""
        assert fps == self._fps
        return FrameIterator(self._taken(), lambda share: self._damage)

    def _taken(self) -> Generator[TimedFrame, None, None]:
        for part in self._parts:
            if isinstance(part, TimedFrame):
                yield part
            elif not isinstance(part, VideoInfo):
                self._damage = part

    def close(self) -> None:
        """End the reading."""
        self._parts.close()


class FarReader(Closing):
    """A process that reads one video after another, and is replaced when a video ends it.

    Args:
        timeout: seconds without a frame after which a video is given up; None for never.
        read: how that process reads a video; it pickles.
    """

    def __init__(self, timeout: float | None = DECODE_TIMEOUT, read: Read = read_parts) -> None:
        self._timeout = timeout
        self._pool: WorkerPool[_Task, None] = WorkerPool(partial(_report_all, read), 1, timeout=timeout)

    def open(self, path: str, fps: float) -> FarVideo:
        """A video, decoded some frames ahead.

        Raises:
            VideoError: as of `VideoReader`, or its process died or took too long; also while iterating.
            ClaverError: no process starts.
        """
        return FarVideo(path, self._parts(path, fps), fps)

    def _parts(self, path: str, fps: float) -> Generator[Part, None, None]:
        try:
            yield from self._pool.stream((path, fps))
        except WorkerDiedError as error:
            raise death_of_reader(path, error) from error
        except TimeoutError as error:
            why = f"it gave no frame for {self._timeout:g} s and was given up"
            raise VideoError(f"{in_short(path)}: {why}.") from error

    def close(self) -> None:
        """End the process."""
        self._pool.close()


def _report_all(read: Read, task: _Task) -> None:
    for part in read(*task):
        report(part)
