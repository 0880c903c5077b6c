"""Random access to frames of a video: exactly the pixels of a full decode, at a part of its cost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from claver.closing import Closing
from claver.errors import VideoError
from claver.video.damage import Damage, Signs, judge, told_by
from claver.video.decoding import DisorderedError, InexactError, decode_plainly, decode_sparse, in_order, plan
from claver.video.ending import early_end
from claver.video.feed import PacketFeed, UnseekableError
from claver.video.ffmpeg_log import ErrorCount, collected_errors
from claver.video.gathering import Gathering, Prepare
from claver.video.iterating import FrameIterator, Pace
from claver.video.library import to_rgb
from claver.video.listing import Recorder, list_packets
from claver.video.orientation import Orientation, shown_width
from claver.video.packets import FrameTable, PacketTable, video_stream
from claver.video.sequence import ListedFile
from claver.video.source import Media, Source

# Frames decoded to count them are kept (as YUV) up to this size: the whole of a small AVI clip.
KEEP_BYTES = 64 * 2**20
# Containers with checksums of all they hold, so that what FFmpeg says while it opens them is damage.
CHECKED_CONTAINERS = ("ogg",)

Frames = npt.NDArray[np.uint8]
Tagged = Generator[tuple[int, Any], None, None]


class DamagedVideoError(VideoError):
    """A frame that the container lists cannot be decoded; the frames around it may still be readable."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video. Sizes are those of the picture as it is shown: upright, its pixels square.

    `fps` frames per second on average, `duration` seconds, `codec` FFmpeg's name, `rotation` degrees counter-clockwise
    by which the stored picture was turned, `timestamps` [frames] seconds from the first frame, increasing.

    `time_jumps` are the frames before which the file's time stamps step back, or ahead by far more than usual (an hour
    within a clip): such a jump counts as one usual spacing in `timestamps`, `duration` and `fps`.
    """

    frames: int
    height: int
    width: int
    fps: float
    duration: float
    codec: str
    rotation: int
    timestamps: npt.NDArray[np.float64] = field(repr=False, compare=False)
    time_jumps: tuple[int, ...] = ()

    @property
    def irregular(self) -> str:
        """What is odd about the time stamps, in words; empty when nothing is."""
        if not self.time_jumps:
            return ""
        times = "once" if len(self.time_jumps) == 1 else f"{len(self.time_jumps)} times"
        return f"its time stamps jump {times}, first before frame {self.time_jumps[0]}; a jump counts as one frame"

    @property
    def variable_rate(self) -> bool:
        """Whether some frame is off the regular beat by more than half a frame, so that indices misjudge time."""
        if self.frames < 3:
            return False
        regular = np.linspace(0.0, self.timestamps[-1], self.frames)
        return bool(np.abs(self.timestamps - regular).max() > 0.5 * regular[1])


class VideoReader(Closing):
    """Frames of one video by index: `with VideoReader("clip.mp4") as video: video.read([0, 10, 20])`.

    Frame i is the i-th that a full decode shows. Opening lists the packets (MP4 and MOV by the file's own tables,
    Matroska in a pass that decodes nothing) and decodes one frame; `read` decodes only what the requested frames need.
    Where the container cannot be trusted to list the frames (AVI, streams, damaged tables, times of decoding, ...),
    opening decodes the file once to count them.

    In a damaged file frames keep the index the container gives them, and reading one that does not decode raises
    `VideoError`. With `survey=True` every file is decoded once on opening: `info.frames` counts the frames that do
    decode, and all of them can be read.

    Args:
        source: path, bytes, or seekable binary stream.
        survey: decode everything once to count the frames that exist.
        threads: decoder threads, 0 for one per core.
        progress: called with each frame that is decoded to count them.

    Raises:
        VideoError: no such file, not a video, sound only, or no frame that decodes. One sentence with path and cause.
    """

    info: VideoInfo

    def __init__(
        self,
        source: Source | Media,
        *,
        survey: bool = False,
        threads: int = 0,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._media = source if isinstance(source, Media) else Media(source)
        self._threads = threads
        self._kept: list[Any] | None = None
        self._signs, self._complaint = Signs(), ""
        self._surveyed = False
        self._feed: PacketFeed | None = None
        try:
            first = None if survey else self._open_listed()
            first = first or self._survey(progress)
            self._orientation = Orientation.of_frame(first)
            self._size = {"width": shown_width(first.width, self._pixel_aspect), "height": first.height}
            self._media.require_size(**self._size)
            self.info = self._describe()
            if self.info.irregular:
                self._media.warn(self.info.irregular)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file and the decoder. Reading again reopens them."""
        self._kept = None
        if self._feed is not None:
            self._feed.close()

    @property
    def listed(self) -> int:
        """Packets of the video that the file holds; in most formats there is a frame in each."""
        return int(self._table.shown.sum())

    def read(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]], *, prepare: Prepare | None = None) -> Frames:
        """RGB frames `uint8 [T, H, W, 3]`, upright, in the order of `indices`, which may repeat.

        With `prepare` (see `claver.video.gathering`) what it makes of them, [T, …]; frames are prepared as they arrive,
        and few are in memory at a time.

        A frame whose size differs from that of the first is scaled to it. Raises `VideoError` for an index outside
        `0 ... info.frames - 1` and for a frame that cannot be decoded.
        """
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        for index in chosen[(chosen < 0) | (chosen >= self.info.frames)][:1]:
            raise self._media.error(f"there is no frame {index}; it has {self.info.frames}, counted from 0")
        places: dict[int, list[int]] = {}
        for place, tag in enumerate(self._frames.tags[chosen].tolist()):
            places.setdefault(tag, []).append(place)
        out = Gathering(len(chosen), (self.info.height, self.info.width, 3), prepare)
        missing = self._fill(out, places)
        for index in chosen[[places[tag][0] for tag in missing][:1]]:
            raise self._damaged(int(index))
        return out.result()

    def damage(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> Damage | None:
        """What is known to be wrong with the frames that were read last, and with the file; None when nothing is.

        Frames that were decoded by themselves are sound, and of others only what lies before them in the file is known.
        """
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        bad = self._signs.damaged(by_position=self._frames.by_position)
        used = [tag in bad for tag in self._frames.tags[chosen].tolist()]
        return judge(self._signs, sum(used) / max(len(used), 1), self._ending, self._complaint, whole=self._surveyed)

    def frames(self, *, fps: float | None = None, start: float = 0.0, stop: float | None = None) -> FrameIterator:
        """The frames one by one, each with its seconds, holding a few at a time however long the video is.

        With `fps` they are evenly spaced in time: the frame on screen at `start`, at `start` + 1 / fps and so on. A
        frame on screen for longer is given again each time; `seconds` are its own, those of `info.timestamps`. Pixels
        are those that `read` gives. Damage is passed over: a frame that does not decode is left out, or the one before
        it stays on screen, and the iterator's `damage` tells of it. Reading frames meanwhile disturbs nothing.

        Args:
            fps: frames a second; None for every frame.
            start: seconds, from which on; entered at a key frame where that is exact.
            stop: seconds, before which it ends; None for the end of the video.

        Returns:
            An iterator of `TimedFrame`; closed at its end, or by `close` or a `with` block.

        Raises:
            ClaverError: a rate that is not above 0, or a time below 0.
            VideoError: while iterating, when the disk fails, or the file's times and frames are at odds as for `read`.
        """
        file = ListedFile(
            self._media,
            self._table,
            self._frames,
            self.info.timestamps,
            self.info.duration,
            self._picture,
            surveyed=self._surveyed,
            doubtful=self._doubtful,
            ending=self._ending,
            complaint=self._complaint,
            kept=self._kept,
            signs=self._signs,
        )
        return file.iterate(Pace(fps, start, stop), self._disordered)

    def _fill(self, out: Gathering, places: dict[int, list[int]]) -> set[int]:
        """Decode into `out`; returns the tags that no way of decoding delivers."""
        if self._kept is not None:
            return self._take(self._tagged(self._kept), out, places)
        try:
            if not self._frames.by_position and not self._doubtful:
                return self._fill_sparsely(out, places)
        except UnseekableError:
            return self._fill(out, places)
        except InexactError:
            self.close()
        return self._fill_plainly(out, places)

    def _fill_plainly(self, out: Gathering, places: dict[int, list[int]]) -> set[int]:
        frames = self._everything()
        frames = frames if self._surveyed else in_order(frames, self._frames.rank)
        try:
            return self._take(self._tagged(frames), out, places)
        except DisorderedError:
            raise self._disordered() from None

    def _disordered(self) -> DamagedVideoError:
        cause = "its time stamps are not in the order in which its frames are shown"
        hint = "open it with survey=True to read them in that order"
        return DamagedVideoError(self._media.sentence(f"{cause}; {hint}"))

    def _fill_sparsely(self, out: Gathering, places: dict[int, list[int]]) -> set[int]:
        with ErrorCount() as errors:
            # To the end: a frame decoded for others, but shown after them, may tell of damage they inherited.
            missing = self._take(self._sparse(places), out, places, to_the_end=True)
            if errors:  # some decoders only log that they met damage
                raise InexactError
        return missing

    def _take(
        self, frames: Tagged, out: Gathering, places: dict[int, list[int]], *, to_the_end: bool = False
    ) -> set[int]:
        missing = set(places)
        with closing(frames):
            for tag, frame in frames:
                if tag in missing and (picture := self._picture(frame)) is not None:
                    out.put(places[tag], picture)
                    missing.remove(tag)
                if not missing and not to_the_end:
                    break
        return missing

    def _sparse(self, tags: Iterable[int]) -> Tagged:
        assert self._feed is not None
        segments = plan(tags, self._table.key, self._frames.rank)
        for frame in decode_sparse(self._feed.start(), self._feed.since, segments, self._frames.rank):
            yield frame.pts, frame

    def _tagged(self, frames: Iterable[Any]) -> Tagged:
        for position, frame in enumerate(frames):
            yield position if self._frames.by_position else frame.pts, frame

    def _everything(self, *, first_pass: bool = False) -> Iterator[Any]:
        """All frames; what goes by in a first pass makes the file's table."""
        self._signs = Signs()
        recorder = Recorder(self._media)
        with closing(self._opened()) as container:
            stream = video_stream(self._media, container)
            yield from decode_plainly(container, stream, self._signs, recorder)
            if first_pass:
                self._note(container, stream, recorder.table(container, stream))

    def _opened(self) -> Any:
        """A container of the file. FFmpeg reads ahead into it, and keeps for later what it finds."""
        with collected_errors() as messages:
            container = self._media.open()
        if container.format.name in CHECKED_CONTAINERS:
            self._complaint = self._complaint or told_by(container.format.name, messages)
        return container

    def _note(self, container: Any, stream: Any, table: PacketTable) -> None:
        self._table = table
        self._pixel_aspect = stream.sample_aspect_ratio
        self._complaint = self._complaint or told_by(container.format.name, table.complaints)
        self._ending = early_end(self._media, container, stream, table)
        self._doubtful = bool(table.complaints or self._signs.faults)

    def _picture(self, frame: Any) -> Frames | None:
        """The upright RGB picture of a frame; None for one so damaged that it cannot be converted."""
        try:
            return self._orientation.apply(to_rgb(frame, **self._size))
        except (av.FFmpegError, MemoryError):
            return None

    def _open_listed(self) -> Any:
        """The first frame, where the container tells all; None where it is not to be trusted."""
        with ExitStack() as unless_used:
            container = unless_used.enter_context(closing(self._opened()))
            stream = video_stream(self._media, container)
            table = list_packets(self._media, container, stream)
            if table is None or not table.trusted:
                return None
            self._note(container, stream, table)
            self._frames = FrameTable.by_container(table)
            self._feed = PacketFeed(self._media, table, self._threads, container)
            unless_used.pop_all()
        return self._first_frame()

    def _first_frame(self) -> Any:
        """The first frame, or None when it does not decode, which tells that the container is not to be trusted."""
        try:
            with ErrorCount() as errors:
                first = next(self._sparse(self._frames.tags[:1].tolist()))[1]
            if not errors:
                return first
            raise InexactError
        except InexactError:
            self.close()
            return None

    def _survey(self, progress: Callable[[], None]) -> Any:
        """Count the frames that decode; returns the first."""
        tags: list[int | None] = []
        kept: list[Any] = []
        first, size = None, 0
        for frame in self._everything(first_pass=True):
            progress()
            first = first or frame
            tags.append(frame.pts)
            size += sum(plane.buffer_size for plane in frame.planes)
            if size <= KEEP_BYTES:
                kept.append(frame)
        if first is None:
            self._media.require_no_refusal(self._signs.faults.values())
            raise self._media.error(self._why_nothing_decodes())
        self._frames, self._surveyed = FrameTable.by_survey(self._table, tags), True
        if sum(plane.buffer_size for plane in first.planes) > KEEP_BYTES:
            # Packets hold on to the decoder, and that to its last frames.
            self._table = replace(self._table, packets=None)
        self._feed = PacketFeed(self._media, self._table, self._threads)
        self._kept = kept if len(kept) == len(tags) else None
        return first

    def _why_nothing_decodes(self) -> str:
        if self._table.codec == "webp" and self._media.is_animated_webp():
            return "it is an animated WebP, which FFmpeg cannot decode; convert it to GIF or MP4"
        return "no frame of it decodes; it is damaged, truncated or not a video"

    def _describe(self) -> VideoInfo:
        told = self._frames.times(self._table)
        times = told.seconds
        fps = (len(times) - 1) / float(times[-1]) if len(times) > 1 else self._table.rate
        turned = self._orientation.transpose
        width, height = self._size["width"], self._size["height"]
        return VideoInfo(
            frames=len(times),
            height=width if turned else height,
            width=height if turned else width,
            fps=fps,
            duration=float(times[-1]) + 1 / fps,
            codec=self._table.codec,
            rotation=self._orientation.degrees,
            timestamps=times,
            time_jumps=told.jumps,
        )

    def _damaged(self, index: int) -> DamagedVideoError:
        cause = f"frame {index} of {self.info.frames} does not decode, the file is damaged there"
        return DamagedVideoError(self._media.sentence(f"{cause}; open it with survey=True to read the frames that do"))
