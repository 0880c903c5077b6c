"""Live recognition: an answer after every frame of a file, a camera or a network stream, or of pushed frames."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.inference.exported_stream import stream_encoder
from claver.inference.feeds import Feeds
from claver.inference.prediction import Ranked, probabilities
from claver.inference.recognizer import Recognizer
from claver.inference.streaming import StreamEncoder
from claver.models import Claver
from claver.text.actions import Actions
from claver.text.selection import Named
from claver.video.frames import frames_at
from claver.video.iterating import TimedFrame
from claver.video.live_source import LiveSource

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Moment(Ranked):
    """The ranked actions after one frame of a stream.

    Attributes:
        seconds: when the frame is shown, from the first frame of the stream on.
        actions: the C actions that competed.
        scores: Eq. 10 for each, [C], on the scale of `Prediction.scores`.
        probabilities: [C], as of a `Prediction`.
        frames: number of frames that the answer uses, the newest included.
        since: seconds of the first of them.
        seen: frames of the stream that were encoded since it was opened.
        latency: seconds from decoding (or pushing) the frame to this answer.
        dropped: frames of the stream dropped so far because newer ones came before they were answered.
        stream: which stream, where there are several.
        unknown: probability that none of the actions applies; None where it is not computed.
    """

    seconds: float
    actions: tuple[str, ...]
    scores: npt.NDArray[np.float32] = field(repr=False)
    probabilities: npt.NDArray[np.float32] = field(repr=False)
    frames: int
    since: float
    seen: int
    latency: float
    dropped: int = 0
    stream: int = 0
    unknown: float | None = None

    def to_dict(self, k: int = 5) -> dict[str, Any]:
        """Plain values."""
        return {
            "seconds": round(self.seconds, 3),
            "since": round(self.since, 3),
            "frames": self.frames,
            "seen": self.seen,
            "dropped": self.dropped,
            "latency": round(self.latency, 4),
            **self._standing(k),
        }


class LiveRecognizer:
    """Names the action in a stream, after every frame.

        >>> live = claver.LiveRecognizer(model, actions=["falls", "sits down"], fps=4)
        >>> for moment in live.watch("rtsp://camera/1"): print(moment.seconds, moment.action)

    Each answer is exactly that of an offline clip that ends with the frame (see `StreamEncoder`).
    """

    def __init__(
        self,
        model: Claver | str | Path | Recognizer,
        actions: str | Path | Sequence[Named] | Mapping[str, Sequence[str]] | Actions | None = None,
        *,
        fps: float | None = 4.0,
        window: int | None = None,
        streams: int = 1,
        **settings: Any,
    ) -> None:
        """Encode the actions' texts.

        Args:
            model: a model, what `claver.load` takes, or a `Recognizer`, whose actions are taken.
            actions: what `Recognizer` takes.
            fps: frames per second to look at; None for every frame.
            window: T, frames that an answer uses at most; the recogniser's own number if None.
            streams: how many streams there are, whose newest frames are encoded as one batch.
            settings: of `Recognizer`, such as `texts`.

        Raises:
            ClaverError: as `Recognizer`, or a rate, window or number of streams that is none.
        """
        if fps is not None and not 0 < fps < float("inf"):
            raise ClaverError(f"fps is a number of frames per second above 0, or None for every frame, not {fps}")
        if window is not None and window < 1:
            raise ClaverError(f"window must be at least 1 frame, or None for the recogniser's own, not {window}")
        if streams < 1:
            raise ClaverError(f"streams must be at least 1, not {streams}")
        given = isinstance(model, Recognizer)
        if given and (actions is not None or settings):
            raise ClaverError("a Recognizer has its actions already; give a model, or a Recognizer alone")
        self.recognizer = model if isinstance(model, Recognizer) else Recognizer(model, actions, **settings)
        self.fps = fps
        window = self.recognizer.frames if window is None else window
        self._require_fit(window)
        self.streams = [_Stream(stream_encoder(self.recognizer.model, window)) for _ in range(streams)]

    def _require_fit(self, window: int) -> None:
        """A calibration holds for the frames and views that it was made with."""
        calibrated = self.recognizer.open_set is not None and self.recognizer.open_set.threshold != 0
        made, live = (str(self.recognizer.views), self.recognizer.frames), ("1x1", window)
        if calibrated and made != live:
            told = f"of {made[1]} frames in views {made[0]}, live answers are of {live[1]} in {live[0]}"
            raise ClaverError(f"the calibration was made {told}; calibrate with these")

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that compete."""
        return self.recognizer.actions

    @property
    def window(self) -> int:
        """T, frames that an answer uses at most."""
        return self.streams[0].encoder.window

    def push(self, frame: Frame, seconds: float) -> Moment:
        """Take the next frame of the (first) stream.

        A frame that comes sooner than `fps` allows is skipped: the answer is the previous one.

        Args:
            frame: RGB, uint8 [H, W, 3].
            seconds: when it is shown; not before the frame pushed last.

        Raises:
            ClaverError: a time before the last one's.
            VideoError: no such frame, or scores that are not finite.
        """
        return self.push_all([(frame, seconds)])[0]

    def push_all(self, frames: Sequence[tuple[Frame, float] | None]) -> list[Moment]:
        """Take the next frame of every stream that has one, with its seconds, as one batch of the image tower.

        Args:
            frames: of each stream in their order, None for a stream without a new frame.

        Returns:
            The answers of the streams that had a frame.

        Raises:
            ClaverError: other streams than there are, or a time before the last one's.
            VideoError: no such frame, or scores that are not finite.
        """
        return self._push(frames, self._is_due)

    def _push(self, frames: Sequence[tuple[Frame, float] | None], is_due: Callable[[int, float], bool]) -> list[Moment]:
        began = time.perf_counter()
        if len(frames) != len(self.streams):
            raise ClaverError(f"there are {len(self.streams)} streams, but frames of {len(frames)} were given")
        given = [(number, *one) for number, one in enumerate(frames) if one is not None]
        due = [(number, frame, at) for number, frame, at in given if is_due(number, at)]
        if due:
            tokens = self._tokens([frame for _, frame, _ in due])
            for (number, _, at), own in zip(due, tokens, strict=True):
                self._answer(number, at, own[None], began)
        return [self._last(number) for number, _, _ in (due if is_due == self._is_new else given)]

    def _is_due(self, number: int, seconds: float) -> bool:
        stream = self.streams[number]
        if stream.times and seconds < stream.times[-1]:
            last = stream.times[-1]
            raise ClaverError(f"a frame of {seconds:g} s cannot follow one of {last:g} s; reset() begins anew")
        # A tenth of the spacing: frames that are evenly spaced already must not be missed by a rounding.
        return not stream.times or self.fps is None or seconds >= stream.times[-1] + 0.9 / self.fps

    def _is_new(self, number: int, seconds: float) -> bool:
        """Whether a frame that a source gave at its rate is another than the last: one may stay on screen long."""
        times = self.streams[number].times
        return not times or seconds > times[-1]

    @torch.inference_mode()
    def _tokens(self, frames: Sequence[Frame]) -> Tensor:
        """Image tokens of one frame of each of some streams [B, 1, N, D]."""
        encoder = self.recognizer.encoder
        rgb = [frames_at([frame], np.zeros(1, dtype=np.int64)) for frame in frames]
        views = torch.cat([encoder.preprocess.crop(np.asarray(one)).transpose(0, 1) for one in rgb])  # [B, 1, 3, h, w]
        return self.streams[0].encoder.image_tokens(encoder.normalized(views))

    @torch.inference_mode()
    def _answer(self, number: int, seconds: float, tokens_11ND: Tensor, began: float) -> None:
        stream, model = self.streams[number], self.recognizer.model
        frames_1TE = stream.encoder.push_tokens(tokens_11ND)
        scores = self.recognizer.bank.scores(frames_1TE, model.scale, model.config.aggregate, model.bias)
        shares = probabilities(scores, model, f"frame at {seconds:g} s")
        stream.times.append(seconds)
        count = frames_1TE.shape[1]
        stream.last = Moment(
            seconds,
            self.actions,
            scores.float().cpu().numpy(),
            shares.float().cpu().numpy(),
            frames=count,
            since=stream.times[-count],
            seen=stream.encoder.seen,
            latency=time.perf_counter() - began,
            dropped=stream.dropped,
            stream=number,
            unknown=self.recognizer.unknown(frames_1TE),
        )

    def _last(self, number: int) -> Moment:
        last = self.streams[number].last
        assert last is not None
        return last

    def reset(self) -> None:
        """Forget all frames."""
        for stream in self.streams:
            stream.reset()

    def watch(
        self,
        *sources: str | Path | int,
        reconnect: bool = True,
        newest: bool | None = None,
        on_frame: Callable[[int, TimedFrame], object] | None = None,
    ) -> Generator[Moment, None, None]:
        """Yield the answers for one source per stream, until all sources have ended.

        Args:
            sources: files, numbers of cameras, `/dev/video0`, addresses (rtsp, http, tcp, udp, …), `-` for standard
                input. An address is opened because it is given here; nothing else is.
            reconnect: reopen a camera or an address when it is lost; seconds continue, and each loss is logged once.
            newest: whether the newest frame wins when answers take longer than frames, the others being dropped and
                counted; of cameras and addresses if None, while every frame of a file gets an answer.
            on_frame: called with each stream's number and frame before it is answered.

        Raises:
            VideoError: a source that cannot be opened or broke off; of several it is logged at once, and raised when
                the others have ended.
            ClaverError: another number of sources than of streams.
        """
        if len(sources) != len(self.streams):
            raise ClaverError(f"there are {len(self.streams)} streams, but {len(sources)} sources were given")
        self.reset()
        with closing(Feeds([LiveSource.parse(source) for source in sources], self.fps, reconnect, newest)) as feeds:
            while (arrived := feeds.take()) is not None:
                for stream, dropped in zip(self.streams, feeds.dropped, strict=True):
                    stream.dropped = dropped
                pushed = [None if one is None else (one.frame.pixels, one.frame.seconds) for one in arrived]
                waited = max(time.perf_counter() - one.at for one in arrived if one is not None)
                for number, one in enumerate(arrived):
                    if one is not None and one.frame.reopened:
                        self.streams[number].begin_anew()
                    if on_frame is not None and one is not None:
                        on_frame(number, one.frame)
                for moment in self._push(pushed, self._is_new):
                    yield _later(moment, waited)


def _later(moment: Moment, seconds: float) -> Moment:
    """The moment, with the time that its frame waited in the queue added to its latency."""
    return Moment(**{**vars(moment), "latency": moment.latency + seconds})


@dataclass
class _Stream:
    encoder: StreamEncoder
    times: deque[float] = field(default_factory=deque)
    last: Moment | None = None
    dropped: int = 0

    def __post_init__(self) -> None:
        self.times = deque(maxlen=self.encoder.window)

    def begin_anew(self) -> None:
        """What comes now is another clip, of the same stream."""
        self.encoder.reset()
        self.times.clear()

    def reset(self) -> None:
        self.begin_anew()
        self.last, self.dropped = None, 0
