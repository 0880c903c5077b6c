"""Events from live answers, by hysteresis: an action starts at one probability and ends below a lower one."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from claver.csv_text import csv_text
from claver.errors import ClaverError
from claver.files import refuse_special
from claver.inference.live import Moment
from claver.names import composed
from claver.video.iterating import Frames, TimedFrame
from claver.video.transforms import resize_short_side
from claver.video.writing import write_clip

COLUMNS = ("stream", "start", "end", "action", "score")


@dataclass(frozen=True)
class Event:
    """One occurrence of an action, from start to end.

    Attributes:
        action: which.
        start: seconds of the first answer that found it likely.
        end: seconds of the last one.
        score: the greatest probability in between.
        stream: which stream, where there are several.
    """

    action: str
    start: float
    end: float
    score: float
    stream: int = 0


class EventDetector:
    """Finds events in the moments of one stream or of several, by hysteresis.

    An action begins when its probability reaches `enter`, and ends when it falls below `leave`: between the two nothing
    changes, so that a score that wavers about one threshold is one event. Where the probability that none of the
    actions applies is known, the actions share what is left.

    Attributes:
        enter: probability at which an action begins, in (0, 1].
        leave: probability below which it ends, at most `enter`.
        least: minimum length of an event in seconds; shorter ones are left out.
    """

    def __init__(self, enter: float = 0.6, leave: float = 0.4, least: float = 0.0) -> None:
        """Start without events.

        Raises:
            ClaverError: thresholds that are none.
        """
        if not 0 < leave <= enter <= 1:
            both = f"{enter} and {leave}"
            raise ClaverError(f"probabilities at which events begin and end must be 1 >= begin >= end > 0, not {both}")
        if not least >= 0:
            raise ClaverError(f"the least length of an event is in seconds, 0 or more, not {least}")
        self.enter, self.leave, self.least = enter, leave, least
        self._running: dict[tuple[int, str], Event] = {}

    def push(self, moment: Moment) -> list[Event]:
        """The events that ended before this moment."""
        ended = [] if moment.seen > 1 else self._end(moment.stream)  # before it was opened again
        known = 1 - (moment.unknown or 0.0)
        for action, share in zip(moment.actions, (known * moment.probabilities).tolist(), strict=True):
            key = (moment.stream, action)
            before = self._running.get(key)
            if before is None and share >= self.enter:
                self._running[key] = Event(action, moment.seconds, moment.seconds, share, moment.stream)
            elif before is not None and share >= self.leave:
                best = max(before.score, share)
                self._running[key] = Event(action, before.start, moment.seconds, best, moment.stream)
            elif before is not None:
                ended.append(self._running.pop(key))
        return self._long(ended)

    def _end(self, stream: int) -> list[Event]:
        keys = [key for key in self._running if key[0] == stream]
        return [self._running.pop(key) for key in keys]

    def finish(self) -> list[Event]:
        """End all running events and return them; the detector starts over."""
        ended = sorted(self._running.values(), key=lambda event: event.start)
        self._running.clear()
        return self._long(ended)

    @property
    def running(self) -> list[Event]:
        """The events that have started and not ended."""
        return list(self._running.values())

    def _long(self, events: Sequence[Event]) -> list[Event]:
        return [event for event in events if event.end - event.start >= self.least]


class EventFile:
    """A CSV of events, to which each event is written and flushed as soon as it has ended.

    An existing file of events is appended to; any other file is refused and left unchanged.
    """

    def __init__(self, path: Path, *, safe: bool = False) -> None:
        """Open the file, or create it.

        Args:
            path: the file.
            safe: as in `claver.csv_text.csv_text`.

        Raises:
            ClaverError: it holds something else, is no file, or cannot be written.
        """
        refuse_special(path)
        try:
            self._check(path)
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise ClaverError(f"cannot write {path}: {error.strerror}") from error
        self.path, self._safe = path, safe
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):  # a row that an interruption cut short
            self._file.write("\n")
        if self._file.tell() == 0:
            self._write([COLUMNS])

    @staticmethod
    def _check(path: Path) -> None:
        if path.exists() and path.stat().st_size:
            with path.open(encoding="utf-8", newline="", errors="replace") as file:
                if tuple(next(csv.reader(file), [])) != COLUMNS:
                    raise ClaverError(f"{path} holds something else than events; name another file")

    def add(self, event: Event, source: str = "") -> None:
        """Write an event; `source` is the name of its stream."""
        row = (source or event.stream, f"{event.start:.3f}", f"{event.end:.3f}", event.action, f"{event.score:.4f}")
        self._write([row])

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        try:
            self._file.write(csv_text(rows, safe=self._safe))
            self._file.flush()
        except OSError as error:
            raise ClaverError(f"cannot write {self.path}: {error.strerror}; what it holds is kept") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ClipSaver:
    """Buffers the last frames of each stream, and writes those around an event as a video file.

    Frames are buffered small (`short_side` pixels), so that a minute takes some tens of megabytes. Of an event longer
    than the buffer only the later part is saved.
    """

    def __init__(self, folder: Path, fps: float, *, around: float = 2.0, longest: float = 60.0, short_side: int = 240):
        """Start without frames.

        Args:
            folder: where clips are written; created if missing.
            fps: frames per second that will be given.
            around: seconds before and after an event that are saved as well.
            longest: seconds of frames that are buffered.
            short_side: pixels of the shorter side.

        Raises:
            ClaverError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClaverError(f"cannot make {folder}: {error.strerror}") from error
        self.folder, self.fps, self.around, self._side = folder, fps, around, short_side
        self._most = max(1, round(longest * fps))
        self._frames: dict[int, deque[tuple[float, Frames]]] = {}
        self._waiting: list[Event] = []

    def keep(self, stream: int, frame: TimedFrame) -> list[Path]:
        """Buffer a frame, and write the clips of events that are complete with it."""
        kept = self._frames.setdefault(stream, deque(maxlen=self._most))
        kept.append((frame.seconds, _small(frame.pixels, self._side)))
        due = [e for e in self._waiting if e.stream == stream and frame.seconds >= e.end + self.around]
        return [self._saved(event) for event in due]

    def add(self, event: Event) -> None:
        """Save this event as soon as the frames after it have come."""
        self._waiting.append(event)

    def finish(self) -> list[Path]:
        """Save the waiting events with the frames there are."""
        return [self._saved(event) for event in list(self._waiting)]

    def _saved(self, event: Event) -> Path:
        path = self._save(event)
        self._waiting.remove(event)  # not before: an interruption while it is written must not lose it
        return path

    def _save(self, event: Event) -> Path:
        first, last = event.start - self.around, event.end + self.around
        frames = [pixels for seconds, pixels in self._frames.get(event.stream, ()) if first <= seconds <= last]
        if not frames:
            raise ClaverError(f"no frame is kept of the event {event.action!r} at {event.start:g} s")
        frames = [pixels for pixels in frames if pixels.shape == frames[-1].shape]  # a camera may come back in another
        name = f"{event.stream}-{event.start:010.2f}-{_file_name(event.action)}"
        names = chain([name], (f"{name}-{number}" for number in count(2)))
        path = next(path for one in names if not (path := self.folder / f"{one}.mp4").exists())
        return write_clip(path, np.stack(frames), fps=Fraction(self.fps).limit_denominator(1000))


def _small(pixels: Frames, side: int) -> Frames:
    """A frame resized to a short side of at most `side`, both sides even, as H.264 requires."""
    frame: Any = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    small = resize_short_side(frame, side) if min(pixels.shape[:2]) > side else frame
    height, width = (length - length % 2 for length in small.shape[-2:])
    return np.ascontiguousarray(small[0, :, :height, :width].permute(1, 2, 0).numpy())


def _file_name(action: str) -> str:
    """Letters and digits of an action, for a name of a file on any system."""
    letters = "".join(sign if sign.isalnum() else "-" for sign in composed(action))
    return "-".join(filter(None, letters.split("-")))[:60] or "action"
