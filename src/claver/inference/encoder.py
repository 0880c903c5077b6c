"""From videos to frame embeddings: the first step of recognising, explaining and evaluating."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.data.clips import ClipLocation
from claver.errors import ClaverError, VideoError
from claver.inference.views import PackedViews, Views, load_views
from claver.log import warn_once
from claver.models import Claver
from claver.models.compiling import CompiledTowers
from claver.video import Damage, Preprocess, VideoViews, read_views
from claver.video.damage import OnDamage, checked_on_damage
from claver.video.prefetch import DECODE_TIMEOUT, prefetch
from claver.video.remote import reachable
from claver.video.transforms import normalize
from claver.video.views import VideoLike

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """A video without an answer.

    Attributes:
        source: a path or a word for what it was.
        error: why there is no answer, in a sentence.
        by_model: the model's scores for it are not finite; otherwise the video could not be read, or is damaged.
        damaged: what is wrong with it, where it was damage that forbade an answer.
        skipped: it was left out as requested, which is not an error.
    """

    source: str
    error: str
    by_model: bool = False
    damaged: Damage | None = None
    skipped: bool = False

    def to_dict(self, k: int = 5) -> dict[str, Any]:
        """Plain values, as of a job's items; `k` is as in `Prediction.to_dict`, and here there is no answer."""
        damaged = {} if self.damaged is None else {"damaged": self.damaged.to_dict()}
        return {"path": self.source, "skipped" if self.skipped else "error": self.error, **damaged}


@dataclass(frozen=True)
class VideoEmbedding:
    """Frame embeddings of a video, with the pixels and the seconds they are of.

    Attributes:
        source: what was encoded, a path or a word for what it was.
        frames: embeddings of the frames of each view, not normalised [V, T, E], in float32.
        pixels: the views as the model saw them, before normalisation, uint8 [V, T, 3, h, w].
        seconds: when each frame is shown, from the first frame of the video on [V, T]; None where frames were given.
        damage: what is known to be wrong with the file or with these frames; None when nothing is.
    """

    source: str
    frames: Tensor = field(repr=False)
    pixels: Tensor = field(repr=False)
    seconds: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    damage: Damage | None = None


class VideoModel(Protocol):
    """What encodes views: a `Claver`, or a peer."""

    takes_bytes: bool

    @property
    def device(self) -> torch.device:
        """Where it is."""

    def encode_video(self, pixels_VTCHW: Tensor, /) -> Tensor:
        """Normalised views, or bytes if it `takes_bytes`, to their embeddings [V, T, E]."""


class ViewEncoder:
    """Looks at videos, one or many, each in the same views, and has a model encode these.

    Attributes:
        model: what encodes.
        views: clips and crops of each video.
        frames: T, frames of each view.
        preprocess: what is done to the pixels.
        damaged: what is done with a damaged video.
        waited: seconds for which `stream` has waited for files to be read and decoded.
    """

    def __init__(
        self, model: VideoModel, views: Views | str, *, frames: int, preprocess: Preprocess, damaged: OnDamage
    ) -> None:
        """Settings as of `VideoEncoder`."""
        self.model = model
        self.views = views if isinstance(views, Views) else Views.parse(views)
        self.frames = frames
        if frames < 1:
            raise ClaverError(f"frames must be at least 1, or None for the model's own, not {frames}")
        self.preprocess = preprocess
        if self.views.crops == 3 and preprocess.resize == "squash" and preprocess.size == preprocess.short_side:
            warn_once("frames are squashed to a square, of which three crops would be the same: one is looked at")
            self.views = Views(self.views.temporal)
        self.damaged = checked_on_damage(damaged)
        self.waited = 0.0

    @torch.inference_mode()
    def encode(self, views_VTCHW: Tensor, batch_size: int) -> Tensor:
        """Views as bytes [V, T, 3, h, w] to frame embeddings [V, T, E] in float32, so many views at a time."""
        return torch.cat(
            [self.model.encode_video(self.normalized(part)).float() for part in views_VTCHW.split(batch_size)]
        )

    def normalized(self, pixels: Tensor) -> Tensor:
        """Views as bytes to what the model takes, on its device."""
        if self.model.takes_bytes:
            return pixels
        device = self.model.device
        queued = device.type == "cuda" and pixels.device.type == "cpu"  # from pinned memory, and nobody waits for it
        pixels = pixels.pin_memory() if queued else pixels
        return normalize(pixels.to(device, non_blocking=queued), self.preprocess.mean, self.preprocess.std)

    def __call__(self, source: VideoLike) -> VideoEmbedding:
        """Encode one video.

        Args:
            source: a path, an address, the bytes of a file, an open binary stream, or frames: uint8 [T, H, W, 3], grey
                [T, H, W] or [T, H, W, 1], RGBA [T, H, W, 4], whose alpha is left out, or a list of frames or images.

        Raises:
            VideoError: it cannot be read, or it is damaged and not to be answered.
        """
        return self.embed(name_of(source), self.look(source))

    def embed(self, name: str, views: VideoViews) -> VideoEmbedding:
        """Encode views that were read before, as by `look` or in another process.

        Args:
            name: what messages call the video.
            views: uint8, not normalised.

        Raises:
            VideoError: it is damaged and not to be answered.
        """
        admitted = _admitted(name, views, self.damaged)
        if isinstance(admitted, Failure):
            raise VideoError(admitted.error)
        return _embedding(name, admitted, self.encode(admitted.pixels, len(admitted.pixels)))

    def look(self, source: VideoLike) -> VideoViews:
        """The views of one video, uint8 [V, T, 3, h, w], not encoded; errors as of a call, whatever the damage."""
        return read_views(
            reachable(source),
            frames=self.frames,
            temporal_views=self.views.temporal,
            crops=self.views.crops,
            preprocess=self.preprocess,
            normalized=False,
        )

    def stream(
        self,
        paths: Iterable[str | Path | ClipLocation],
        *,
        batch_size: int = 8,
        workers: int = 0,
        threads: int = 0,
        decode_timeout: float | None = DECODE_TIMEOUT,
        damaged: OnDamage | None = None,
    ) -> Iterator[VideoEmbedding | Failure]:
        """Encode many files, in order, going on past those that cannot be read.

        Args:
            paths: the files, or the locations of clips such as those of shards.
            batch_size: views the towers take at once, across files; results do not depend on it.
            workers: processes that decode ahead; spawned, so a script needs `if __name__ == "__main__":`.
            threads: of this process that decode ahead where there are no workers.
            decode_timeout: seconds after which a worker gives a file up, None for never; it needs workers.
            damaged: what to do with damaged files; the encoder's own setting if None.
        """
        on_damage = checked_on_damage(self.damaged if damaged is None else damaged)
        own: dict[str, Any] = {"preprocess": self.preprocess, "threads": 1 if workers or threads else 0}
        load_one = partial(load_views, frames=self.frames, views=self.views, **own)
        locations = map(ClipLocation.named_by_user, paths)
        found = prefetch(locations, load_one, workers=workers, threads=threads, timeout=decode_timeout)
        files = self._timed(found)
        encoded = (self._encode_all(batch, batch_size) for batch in _batches(files, on_damage, batch_size))
        # A GPU computes a batch while the next is read; on a CPU a batch is done when `_encode_all` returns.
        for batch in encoded if self.model.device.type == "cpu" else one_behind(encoded):
            yield from batch

    def _timed(self, files: Iterator[T]) -> Iterator[T]:
        while True:
            began = time.perf_counter()
            try:
                following = next(files, None)
            finally:
                self.waited += time.perf_counter() - began
            if following is None:
                return
            yield following
            del following  # its pixels are not kept while the next file is waited for

    def _encode_all(self, waiting: list[_Loaded], batch_size: int) -> list[VideoEmbedding | Failure]:
        """Answers whose values a GPU may still be computing: whoever looks at them waits for it."""
        loaded = [views.pixels for _, views in waiting if isinstance(views, VideoViews)]
        encoded: Iterator[Tensor] = iter(())
        if loaded:
            encoded = iter(self.encode(torch.cat(loaded), batch_size).split([len(pixels) for pixels in loaded]))
        return [
            views if isinstance(views, Failure) else _embedding(name, views, next(encoded)) for name, views in waiting
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.frames} frames, views {self.views})"


class VideoEncoder(ViewEncoder):
    """Encodes videos with one model, each in the same views.

        >>> encoder = VideoEncoder(claver.load("openai/clip-vit-base-patch16"), views="4x3")
        >>> encoder("clip.mp4").frames.shape        # [12, 8, 512]

    Attributes:
        model: the model.
        views: clips and crops of each video.
        frames: T, frames of each view.
        preprocess: what is done to the pixels.
        damaged: what is done with a damaged video.
        towers: the compiled towers; None where the model's own are used.
    """

    model: Claver

    def __init__(
        self,
        model: Claver,
        views: Views | str = "1x1",
        *,
        frames: int | None = None,
        preprocess: Preprocess | None = None,
        damaged: OnDamage = "answer",
        compile: bool = False,
    ) -> None:
        """Check that the settings fit the model.

        Args:
            model: the model.
            views: `4x3` is the paper's test; `1x1`, the usual, a twelfth of its cost.
            frames: T, frames of each view; the model's own number if None.
            preprocess: what is done to the pixels; what the model was loaded with if None.
            damaged: what to do with a damaged video: `answer`, and mark the answer; `skip` it; or `fail`. One of which
                all frames used are damaged is never answered.
            compile: run the towers by `torch.compile`, each number of views at a time being compiled when it first
                comes, see `warm_up`. The model itself stays as it is. Where there is no compiler it is said, and the
                towers run as they are.

        Raises:
            ClaverError: views of another form, pictures of another size than the model's, or another word for damaged;
                frames or pixels that an exported model does not take.
        """
        super().__init__(
            model,
            views,
            frames=model.config.temporal.frames if frames is None else frames,
            preprocess=preprocess or model.config.preprocess,
            damaged=damaged,
        )
        if self.preprocess.size != (size := model.config.image.size):
            raise ClaverError(f"preprocess gives pictures of {self.preprocess.size} pixels, but the model takes {size}")
        model.check_views(self.frames, self.preprocess)
        self.towers = CompiledTowers(model) if compile else None

    @torch.inference_mode()
    def encode(self, views_VTCHW: Tensor, batch_size: int) -> Tensor:
        """As of every encoder; compiled towers get parts as even as they can be, so that few sizes are compiled."""
        if self.towers is None:
            return super().encode(views_VTCHW, batch_size)
        parts = views_VTCHW.split(_even(len(views_VTCHW), batch_size))
        return torch.cat([self.towers.encode_video(self.normalized(part), batch_size).float() for part in parts])

    def warm_up(self, videos: int, batch_size: int = 8) -> None:
        """Compile now what `stream` of so many videos needs; without `compile` nothing is done."""
        if self.towers is None or self.towers.given_up or videos < 1:
            return
        each = self.views.temporal * self.views.crops
        size = _even(each * min(videos, math.ceil(batch_size / each)), batch_size)
        side = self.preprocess.size
        self.encode(torch.zeros(size, self.frames, 3, side, side, dtype=torch.uint8), batch_size)


def _even(views: int, batch_size: int) -> int:
    """How many views at a time, so that the parts are as few as the batch size allows, and as even as they can be."""
    return math.ceil(views / max(1, math.ceil(views / batch_size))) or 1


def name_of(source: VideoLike) -> str:
    """What messages call a video: its path, the name of a stream, or a word for what it is."""
    return str(source) if isinstance(source, str | Path) else str(getattr(source, "name", type(source).__name__))


_Loaded = tuple[str, VideoViews | Failure]


def _batches(
    files: Iterable[tuple[ClipLocation, PackedViews | VideoError]], on_damage: OnDamage, batch_size: int
) -> Iterator[list[_Loaded]]:
    """The files in groups of `batch_size` views or a little more, the last perhaps of fewer."""
    waiting: list[_Loaded] = []
    for location, result in files:
        loaded = result if isinstance(result, VideoError) else result.unpacked()
        waiting.append((location.name, _admitted(location.name, loaded, on_damage)))
        if sum(len(views.pixels) for _, views in waiting if isinstance(views, VideoViews)) >= batch_size:
            yield waiting
            waiting = []
    yield waiting


def one_behind(items: Iterator[T]) -> Iterator[T]:
    """The items, each given when the next one is begun; before an error, or an interruption, the one held back."""
    held: list[T] = []
    while True:
        try:
            following = next(items)
        except StopIteration:
            yield from held
            return
        except BaseException:  # also Ctrl-C: what was computed is not lost
            yield from held
            raise
        yield from held
        held = [following]


def _embedding(name: str, views: VideoViews, frames_VTE: Tensor) -> VideoEmbedding:
    return VideoEmbedding(name, frames_VTE, views.pixels, views.seconds, views.damage)


def _admitted(name: str, views: VideoViews | VideoError, on_damage: OnDamage) -> VideoViews | Failure:
    """The views, if there may be an answer."""
    if isinstance(views, VideoError):
        return Failure(name, str(views))
    if views.damage is None or not views.damage.forbids(on_damage):
        return views
    skipped = on_damage == "skip"
    why = f"{name}: it is damaged ({views.damage}) and {'was skipped' if skipped else 'not answered'}."
    return Failure(name, why, damaged=views.damage, skipped=skipped)
