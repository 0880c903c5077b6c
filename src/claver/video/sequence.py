"""Sequential reading: the frames of an indexed file one after the other, with their seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from claver.video.damage import Damage, Ending, PassingSigns, Signs, judge
from claver.video.decoding import DisorderedError, InexactError, decode_plainly, decode_sparse, in_order, plan
from claver.video.feed import PacketFeed
from claver.video.ffmpeg_log import collected_errors
from claver.video.iterating import (
    MOST_ROUNDED,
    Decoded,
    FrameIterator,
    Frames,
    Pace,
    Timed,
    judged_in_passing,
    timed_frames,
)
from claver.video.packets import FrameTable, PacketTable, video_stream
from claver.video.source import Media

Numbered = Iterator[tuple[int, Decoded]]


@dataclass(frozen=True)
class ListedFile:
    """What a reader knows about a file.

    Attributes:
        media: the file.
        table, frames: its packets, and the frames they show.
        seconds: when each frame is shown.
        duration: seconds, to the end of the last frame.
        picture: makes a frame RGB.
        surveyed: the frames were counted by decoding them.
        doubtful: it is not to be read sparsely.
        ending, complaint: as for `judge`.
        kept: all its frames, where they are few.
        signs: of the decode that gave those.
    """

    media: Media
    table: PacketTable
    frames: FrameTable
    seconds: npt.NDArray[np.float64] = field(repr=False)
    duration: float
    picture: Callable[[Any], Frames | None]
    surveyed: bool
    doubtful: bool
    ending: Ending | None
    complaint: str
    kept: list[Any] | None
    signs: Signs

    def iterate(self, pace: Pace, disordered: Callable[[], Exception]) -> FrameIterator:
        """Its frames, with the damage met so far; `disordered` is raised where times and frames are at odds."""
        pace = replace(pace, rounding=min(self.table.time_base, MOST_ROUNDED))
        passage = _Passage(self, disordered)
        timed = passage.timed(pace.needed(self.seconds, self.duration))
        return FrameIterator(timed_frames(timed, pace, lambda: self.duration, self.picture), passage.judged)


class _Passage:
    """One way through a file: sparsely as long as that is exact, else plainly from its start."""

    def __init__(self, file: ListedFile, disordered: Callable[[], Exception]) -> None:
        self._file, self._disordered = file, disordered
        self._signs = file.signs if file.kept is not None else Signs()

    def judged(self, share: float) -> Damage | None:
        return judge(self._signs, share, self._file.ending, self._file.complaint, whole=True)

    def timed(self, needed: npt.NDArray[np.int64]) -> Timed:
        """The frames `needed`; decoded plainly also those between, which may stand in for one that is lost."""
        for index, decoded in self._numbered(needed):
            yield float(self._file.seconds[index]), decoded

    def _numbered(self, needed: npt.NDArray[np.int64]) -> Numbered:
        if not len(needed):
            return
        if self._file.kept is not None:
            yield from self._of_kept(self._file.kept)
            return
        given = -1
        try:
            if not self._file.frames.by_position and not self._file.doubtful:
                for given, frame in self._sparsely(needed):
                    yield given, Decoded(frame)
                return
        except InexactError:
            pass
        yield from ((index, decoded) for index, decoded in self._plainly() if index > given)

    def _of_kept(self, kept: list[Any]) -> Numbered:
        bad = self._signs.damaged(by_position=self._file.frames.by_position)
        for index, (frame, tag) in enumerate(zip(kept, self._file.frames.tags.tolist(), strict=True)):
            yield index, Decoded(frame, tag in bad)

    def _sparsely(self, needed: npt.NDArray[np.int64]) -> Iterator[tuple[int, Any]]:
        """One thread: what goes wrong is known before any frame is given that might inherit it."""
        rank = self._file.frames.rank
        feed = PacketFeed(self._file.media, self._file.table, threads=1)
        segments = plan(self._file.frames.tags[needed].tolist(), self._file.table.key, rank)
        with closing(feed):
            frames = decode_sparse(feed.start(), feed.since, segments, rank)
            while True:
                with collected_errors() as messages:
                    frame = next(frames, None)
                if messages:  # some decoders only log that they met damage
                    raise InexactError
                if frame is None:
                    return
                yield int(rank[frame.pts]), frame

    def _plainly(self) -> Numbered:
        file = self._file
        self._signs = signs = PassingSigns()
        with closing(file.media.open()) as container:
            stream = video_stream(file.media, container)
            frames: Iterable[Any] = decode_plainly(container, stream, signs, _Unnoted())
            if not file.surveyed:
                frames = in_order(iter(frames), file.frames.rank)
            try:
                yield from self._indexed(judged_in_passing(frames, signs))
            except DisorderedError:
                raise self._disordered() from None

    def _indexed(self, frames: Iterator[Decoded]) -> Numbered:
        rank = self._file.frames.rank
        for position, decoded in enumerate(frames):
            if self._file.frames.by_position:
                yield position, decoded
            elif decoded.frame.pts is not None and rank[decoded.frame.pts] >= 0:
                yield int(rank[decoded.frame.pts]), decoded


class _Unnoted:
    """Nothing is written down of the packets, which may be many."""

    beside = None

    def passing(self, packets: Iterator[tuple[Any, int]]) -> Iterator[Any]:
        return (packet for packet, _ in packets)
