"""The views of a video that a model encodes: every needed frame is read once, resized once, then cropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.errors import VideoError
from claver.video.damage import Damage
from claver.video.frames import are_frames, count_frames, frames_at
from claver.video.gathering import Prepare
from claver.video.reader import DamagedVideoError, Frames, VideoReader
from claver.video.sampling import clip_indices, view_indices
from claver.video.source import Media, Source
from claver.video.transforms import Crops, FramesTooNarrowError, Preprocess, normalize

VideoLike = Source | npt.NDArray[np.uint8] | Tensor | Sequence[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SampledFrames:
    """The frames that the views of a video are made of, each once.

    Attributes:
        pixels: the U distinct frames, uint8 [U, H, W, 3], or what they were made into.
        indices: which of them each temporal view is made of, [V, T].
        seconds: when each is shown, from the first frame of the video on, [V, T]; None for frames that are an array.
        damage: what is wrong with the file or these frames; None when nothing is known to be.
    """

    pixels: Frames | Tensor = field(repr=False)
    indices: Ints
    seconds: Floats | None = None
    damage: Damage | None = None


@dataclass(frozen=True)
class VideoViews:
    """The views of a video as the model sees them.

    Attributes:
        pixels: [V, T, 3, size, size] with V = temporal views · crops, uint8 or normalised float32.
        seconds: when each frame is shown, [V, T]; None for frames that were given as an array.
        damage: as in `SampledFrames`.
    """

    pixels: Tensor = field(repr=False)
    seconds: Floats | None = None
    damage: Damage | None = None


def load_views(
    source: VideoLike,
    *,
    frames: int,
    temporal_views: int = 1,
    crops: Crops = 1,
    preprocess: Preprocess | None = None,
    normalized: bool = True,
    generator: np.random.Generator | None = None,
    threads: int = 0,
) -> Tensor:
    """The views of a video, `float32 [V, T, 3, size, size]` with V = temporal_views · crops and T = `frames`.

    Unless `normalized` they are left as `uint8`, a quarter of the size, for whoever normalises them on a device.

    View v·crops + c is crop c of the temporal view v. `source` is a path, bytes, an open binary stream, or the frames
    themselves, as `claver.video.frames.frames_at` takes them. Of a damaged file the frames that decode are used. With a
    `generator` the frames are drawn at random from their segments. Raises `VideoError` when the video cannot be read.
    """
    return read_views(
        source,
        frames=frames,
        temporal_views=temporal_views,
        crops=crops,
        preprocess=preprocess,
        normalized=normalized,
        generator=generator,
        threads=threads,
    ).pixels


def read_views(
    source: VideoLike,
    *,
    frames: int,
    temporal_views: int = 1,
    crops: Crops = 1,
    preprocess: Preprocess | None = None,
    normalized: bool = True,
    generator: np.random.Generator | None = None,
    threads: int = 0,
) -> VideoViews:
    """As `load_views`, with the seconds of the frames and known damage."""
    preprocess = preprocess or Preprocess()
    sampled = sample_frames(
        source,
        frames=frames,
        temporal_views=temporal_views,
        generator=generator,
        threads=threads,
        # Channels last, as they are in memory: they are gathered without a change of layout.
        prepare=lambda frames_UHWC: preprocess.crop(frames_UHWC, crops).transpose(0, 1).movedim(2, -1),
    )
    cut_UCchw = torch.as_tensor(sampled.pixels).movedim(-1, 2)
    prepared_UCchw = normalize(cut_UCchw, preprocess.mean, preprocess.std) if normalized else cut_UCchw
    pixels = prepared_UCchw[torch.from_numpy(sampled.indices)].transpose(1, 2).flatten(0, 1)
    seconds = None if sampled.seconds is None else sampled.seconds.repeat(crops, axis=0)
    return VideoViews(pixels, seconds, sampled.damage)


def sample_frames(
    source: VideoLike,
    *,
    frames: int,
    temporal_views: int = 1,
    generator: np.random.Generator | None = None,
    threads: int = 0,
    prepare: Prepare | None = None,
) -> SampledFrames:
    """The distinct frames of all temporal views, read once; see `SampledFrames`. Raises as `load_views` does.

    With `prepare` (see `claver.video.gathering`) its `pixels` are what that makes of the frames, [U, …]; of a file only
    few whole frames are in memory at a time.
    """
    if are_frames(source):
        indices = view_indices(count_frames(source), frames, temporal_views, generator=generator)
        needed, inverse = np.unique(indices, return_inverse=True)
        pixels = frames_at(source, needed)
        try:
            return SampledFrames(pixels if prepare is None else prepare(pixels), inverse.reshape(indices.shape))
        except FramesTooNarrowError as error:
            raise VideoError(f"<frames>: {error}.") from error
    media = Media(cast(Source, source))
    try:
        return _read(media, frames, temporal_views, generator, threads, prepare, survey=False)
    except DamagedVideoError:
        return _read(media, frames, temporal_views, generator, threads, prepare, survey=True)


def read_video(source: VideoLike, indices: npt.ArrayLike | None = None, *, threads: int = 0) -> Frames:
    """RGB frames `uint8 [T, H, W, 3]` of a video or of given frames, those of `indices` in that order, or all of them.

    All frames of a long video need much memory: 3 · H · W bytes each. Raises `VideoError` as `VideoReader` does.
    """
    if are_frames(source):
        count = count_frames(source)
        wanted = np.arange(count) if indices is None else np.asarray(indices, dtype=np.int64)
        return np.asarray(frames_at(source, wanted))
    with VideoReader(cast(Source, source), threads=threads) as video:
        return video.read(np.arange(video.info.frames) if indices is None else np.asarray(indices, dtype=np.int64))


def _read(
    media: Media,
    frames: int,
    views: int,
    generator: np.random.Generator | None,
    threads: int,
    prepare: Prepare | None,
    *,
    survey: bool,
) -> SampledFrames:
    with VideoReader(media, survey=survey, threads=threads) as video:
        indices = clip_indices(video.info, frames, views=views, generator=generator)
        needed, inverse = np.unique(indices, return_inverse=True)
        try:
            pixels = video.read(needed, prepare=prepare)
        except FramesTooNarrowError as error:
            raise media.error(str(error)) from error
        return SampledFrames(
            pixels, inverse.reshape(indices.shape), video.info.timestamps[indices], video.damage(needed)
        )
