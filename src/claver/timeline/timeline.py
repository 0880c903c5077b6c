"""`Timeline`: which actions happen when in a video of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError, VideoError
from claver.files import write_whole
from claver.inference.recognizer import Recognizer
from claver.inference.windows import OpenVideo, WindowEncoder, WindowIterator, Windows
from claver.timeline.curves import auto_threshold, relative, smooth
from claver.timeline.segments import Segment, candidates, chosen, levels
from claver.timeline.track import Floats, Thumbnail, Track
from claver.timeline.writing import TimelineFormat, text_of, timeline_format
from claver.video import Damage
from claver.video.damage import OnDamage
from claver.video.source import Source

Threshold = float | Literal["auto"]
Relative = Callable[[Tensor], Tensor]
"""Embeddings of windows [W, E] to scores [W, C] of which 0 is the background."""
SMOOTHING = 0.5
KEPT = 0.25
"""Minimum score of a selected segment, as a share of the threshold."""
_THUMBNAILS = 48
_THUMBNAIL_HEIGHT = 72


class RefusedVideoError(VideoError):
    """A video that is damaged, and was not to be answered."""


@dataclass(frozen=True)
class Timeline(Track):
    """Which actions happen when in one video; attributes as of `Track`.

    >>> recognizer = claver.Recognizer("openai/clip-vit-base-patch16", ["juggling", "knitting"])
    >>> timeline = claver.Timeline.of("match.mp4", recognizer, fps=2)
    >>> timeline.save("match.vtt")
    """

    @classmethod
    def of(
        cls,
        source: Source | OpenVideo,
        recognizer: Recognizer,
        *,
        fps: float = 2.0,
        stride: int | None = None,
        threshold: Threshold = "auto",
        smoothing: float = SMOOTHING,
        background: Relative | Literal["video", "names"] = "video",
        batch_size: int = 8,
        progress: Callable[[float, float], None] = lambda done, duration: None,
    ) -> Self:
        """Look through a video once, in bounded memory.

        Args:
            source: a path, the bytes of a file, an open binary stream, or a video that is read elsewhere.
            recognizer: the model and the actions. The video is seen in windows of its T frames, in one centre crop.
            fps: frames that are looked at in a second: a window lasts T / fps seconds.
            stride: frames from one window to the next; T / 2 if None.
            threshold: the level above the background, 0, that an action must reach; `auto` finds one for this video,
                and tries levels above it too.
            smoothing: standard deviation of the Gaussian by which curves are smoothed, in windows.
            background: what scores are compared with: `video`, what is usual in this one; `names`, other actions, as
                of `claver.inference.OpenSet`; or a function of window embeddings.
            batch_size: windows computed at once.
            progress: called with the seconds that were looked through, and those there are.

        Raises:
            ClaverError: settings that cannot be used.
            VideoError: the video cannot be read, is damaged and not to be answered, or the model's scores for it are
                not finite.
        """
        _check(threshold)
        scores = _background(recognizer, background)
        encoder = WindowEncoder(recognizer.encoder, fps=fps, stride=stride, batch_size=batch_size)
        thumbnails = _Thumbnails()
        with encoder(source, watch=thumbnails.look) as windows:
            thumbnails.spread(windows.info.duration)
            seen = _gathered(windows, progress)
            damage = answerable(windows.source, windows.damage, recognizer.encoder.damaged)
        curves = smooth(torch.as_tensor(scores(seen.embeddings)).cpu().numpy(), smoothing)
        found = _segments(curves, seen, recognizer.actions, threshold)
        info = windows.info
        return cls(
            windows.source,
            recognizer.actions,
            info.duration,
            (info.width, info.height),
            info.fps,
            info.timestamps,
            seen.starts,
            seen.stops,
            curves,
            *found,
            fps=encoder.fps,
            damaged="" if damage is None else str(damage),
            thumbnails=tuple(thumbnails.kept),
        )

    def save(self, path: str | Path, form: TimelineFormat | str | None = None) -> Path:
        """Write it, whole or not at all.

        Args:
            path: of the file.
            form: csv, json, jsonl, vtt, srt, eaf, labelstudio, cvat or html; what the suffix says if None.

        Raises:
            ClaverError: a format that there is not, or the file cannot be written.
        """
        path = Path(path)
        write_whole(path, text_of([self], timeline_format(form, path), beside=path))
        return path

    def __str__(self) -> str:
        lines = [f"{one.start:9.2f} {one.stop:9.2f}  {one.score:6.2f}  {one.action}" for one in self.segments]
        return "\n".join([self.source, *lines])


def scores_of(recognizer: Recognizer, embeddings_WE: Tensor) -> Tensor:
    """Scaled cosines of windows to the actions [W, C], averaged over texts as in Eq. 10."""
    embeddings = embeddings_WE.to(recognizer.model.device)
    if recognizer.model.config.aggregate == "paper":
        embeddings = F.normalize(embeddings, dim=-1)
    return recognizer.model.scale.float() * (embeddings @ recognizer.bank.prototypes.T)


def own_background(recognizer: Recognizer, embeddings_WE: Tensor) -> Tensor:
    """Scores against what is usual in this video [W, C]; see `relative`."""
    return torch.from_numpy(relative(scores_of(recognizer, embeddings_WE).detach().cpu().numpy()))


def _background(recognizer: Recognizer, background: Relative | Literal["video", "names"]) -> Relative:
    """How embeddings of windows become scores relative to the background."""
    if not isinstance(background, str):
        return background
    if background == "video":
        return partial(own_background, recognizer)
    if background != "names":
        raise ClaverError(f"background is video, names or a function, not {background!r}")
    if recognizer.open_set is None:
        raise ClaverError("the recognizer has no other names to compare with: it needs unknown=True, and other actions")
    open_set = recognizer.open_set
    return lambda embeddings_WE: open_set.relative(embeddings_WE.to(recognizer.model.device))


def answerable(name: str, damage: Damage | None, on_damage: OnDamage) -> Damage | None:
    """The damage of a video, if there may be an answer.

    Raises:
        RefusedVideoError: there may be none.
    """
    if damage is not None and damage.forbids(on_damage):
        done = "was skipped" if on_damage == "skip" else "not answered"
        raise RefusedVideoError(f"{name}: it is damaged ({damage}) and {done}.")
    return damage


def _gathered(windows: WindowIterator, progress: Callable[[float, float], None]) -> Windows:
    parts = []
    for part in windows:
        parts.append(part)
        progress(float(part.stops[-1]), windows.info.duration)
    return Windows.joined(parts)


def _segments(
    curves: Floats, seen: Windows, actions: Sequence[str], threshold: Threshold
) -> tuple[tuple[Segment, ...], tuple[Segment, ...], float]:
    """The segments chosen, all that were found, and the threshold."""
    level = auto_threshold(curves) if threshold == "auto" else float(threshold)
    tried = levels(curves, level) if threshold == "auto" else [level]
    found = candidates(curves, seen.starts, seen.stops, actions, tried)
    return tuple(chosen(found, KEPT * level)), tuple(found), level


def _check(threshold: Threshold) -> None:
    if threshold != "auto" and not (isinstance(threshold, int | float) and 0 < threshold < float("inf")):
        raise ClaverError(f"threshold is auto or a level above 0, the background, not {threshold!r}")


class _Thumbnails:
    """Thumbnails at even times, a bounded number however long the video is."""

    def __init__(self) -> None:
        self.kept: list[Thumbnail] = []
        self._every = 0.0

    def spread(self, duration: float) -> None:
        """Keep some over so many seconds."""
        self._every = duration / _THUMBNAILS

    def look(self, seconds: float, pixels: npt.NDArray[np.uint8]) -> None:
        """Keep a frame if it is time for one."""
        if seconds + 1e-6 >= len(self.kept) * self._every and len(self.kept) < _THUMBNAILS:
            height, width = pixels.shape[:2]
            size = (_THUMBNAIL_HEIGHT, max(1, min(round(_THUMBNAIL_HEIGHT * width / height), 4 * _THUMBNAIL_HEIGHT)))
            picture_3HW = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            small = F.interpolate(picture_3HW, size, mode="bilinear", antialias=True)[0]
            self.kept.append((seconds, small.permute(1, 2, 0).contiguous().numpy()))
