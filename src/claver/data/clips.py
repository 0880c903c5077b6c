"""Random access to clips in files or shards: the location of each clip's bytes, and its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch

from claver.data.manifest import Ints, Manifest
from claver.errors import ClaverError, VideoError
from claver.moved import renamed
from claver.video.damage import Damage
from claver.video.reader import Frames
from claver.video.remote import is_remote, reachable
from claver.video.transforms import Center, Interpolation, Resize, center_crop, resize_frames
from claver.video.views import SampledFrames, sample_frames

Crop = Callable[[Frames, np.random.Generator], Frames]
"""Cuts clips to one size: frames uint8 [T, H, W, 3] and an rng to uint8 [T, h, w, 3]. It must pickle."""


@dataclass(frozen=True)
class ClipLocation:
    """Where the bytes of a clip are: a file, `size` bytes at `offset` of one, or at hand as `content`.

    `name` is what messages call it. Only if `remote` may `file` be an address.
    """

    name: str
    file: str
    offset: int = 0
    size: int | None = None
    content: bytes | None = field(default=None, repr=False)
    remote: bool = False

    @classmethod
    def named_by_user(cls, path: str | Path | ClipLocation) -> ClipLocation:
        """The location of a file, or of an address, that a user gave as a video; a location stays as it is."""
        if isinstance(path, ClipLocation):
            return path
        return cls(str(path), str(path), remote=is_remote(path))

    def __str__(self) -> str:
        return self.name

    def source(self) -> str | bytes | BinaryIO:
        """The file, or the bytes. Raises `VideoError` where they cannot be read."""
        if self.remote:
            return reachable(self.file)
        if self.content is not None:
            return self.content
        if self.size is None:
            return self.file
        try:
            with open(self.file, "rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise VideoError(f"{self.name}: {self.file} cannot be read ({error.strerror}).") from error
        if len(content) < self.size:
            raise VideoError(f"{self.name}: {self.file} is cut short; write the shard again.")
        return content

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors about bytes begin with the clip's name within this context."""
        try:
            yield
        except VideoError as error:
            cause = str(error)
            raise VideoError(
                cause.replace("<bytes>", self.name, 1) if cause.startswith("<bytes>") else cause
            ) from error


@dataclass(frozen=True)
class Clips:
    """Labelled clips with access to each, whether they are files or members of shards.

    Attributes:
        manifest: what they are, with its classes; row i is clip i.
        places: where their bytes are.
    """

    manifest: Manifest
    locations: Sequence[ClipLocation]

    @classmethod
    def of_files(cls, manifest: Manifest) -> Clips:
        """The files a manifest lists."""
        return cls(manifest, [ClipLocation(path, path) for path in manifest.paths()])

    def __len__(self) -> int:
        return len(self.locations)

    @property
    def labels(self) -> Ints:
        """Class indices, int64 [N]."""
        return self.manifest.labels

    def select(self, split: str | None) -> Clips:
        """The clips of one split; all for None. Raises `ClaverError` where there are none, as `Manifest.select`."""
        if split is None:
            return self
        chosen = self.manifest.select(split)
        pairs = zip(self.locations, self.manifest.samples, strict=True)
        return Clips(chosen, [location for location, sample in pairs if sample.split == chosen.splits[0]])

    def read(self, row: int, decoder: ClipDecoder, rng: np.random.Generator | None = None) -> Frames:
        """The frames of one clip, see `ClipDecoder.frames_of`."""
        return decoder.frames_of(self.locations[row], rng)


@dataclass(frozen=True)
class CenterCrop:
    """The central square of each frame, as `Preprocess` cuts it; `short_side` must not be less than it."""

    size: int = 224
    center: Center = "rounded"

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        """uint8 [T, H, W, 3] to uint8 [T, size, size, 3]; draws nothing."""
        try:
            cut_TCHW = center_crop(torch.from_numpy(frames).movedim(-1, 1), self.size, self.center)
        except ValueError as error:
            raise ClaverError(str(error)) from error
        return cut_TCHW.movedim(1, -1).numpy()


@dataclass(frozen=True)
class ClipDecoder:
    """How a clip is read: frames sampled, resized, and cropped to one size. It runs in worker processes, and pickles.

    Attributes:
        frames: T, one of each of as many equal segments of time.
        short_side: pixels that the shorter side of each frame is resized to; None leaves frames as they are.
        crop: crops the clip, once for all its frames, to one size; None leaves it whole.
        sampling: `random` positions in the segments, or their `centre`.
        views: samplings of one clip; view v has frames v·T … (v + 1)·T − 1 of the result.
        interpolation: of the resizing.
        resize: `squash` resizes the longer side to `short_side` as well.
    """

    frames: int
    short_side: int | None = 256
    crop: Crop | None = CenterCrop()
    sampling: Literal["random", "centre"] = "random"
    views: int = 1
    interpolation: Interpolation = "bicubic"
    resize: Resize = "short_side"

    def __post_init__(self) -> None:
        if self.frames < 1 or self.views < 1 or (self.short_side is not None and self.short_side < 1):
            raise ClaverError("frames, views and short_side must be at least 1")

    def frames_of(self, location: ClipLocation, rng: np.random.Generator | None = None) -> Frames:
        """Read a clip: uint8 [views · T, h, w, 3], where h and w are up to `crop`.

        Args:
            location: where it is.
            rng: random numbers for sampling and crop; without them the sampling is deterministic.

        Raises:
            VideoError: the clip cannot be read, or all frames used of it are damaged; one sentence that begins with
                its name.
        """
        return self.read(location, rng)[0]

    def read(self, location: ClipLocation, rng: np.random.Generator | None = None) -> tuple[Frames, Damage | None]:
        """What `frames_of` gives, with what is known to be damaged of these frames or the file."""
        if self.sampling == "random" and rng is None:
            raise ClaverError("random sampling needs a generator of random numbers")
        drawn = rng if self.sampling == "random" else None
        sampled = self._sampled(location, drawn)
        if sampled.damage is not None and sampled.damage.share == 1:
            raise VideoError(f"{location.name}: it is damaged ({sampled.damage}).")
        clip = np.asarray(sampled.pixels)[sampled.indices.reshape(-1)]
        crop = clip if self.crop is None else self.crop(clip, rng if rng is not None else np.random.default_rng(0))
        return np.ascontiguousarray(crop), sampled.damage

    def _sampled(self, location: ClipLocation, rng: np.random.Generator | None) -> SampledFrames:
        source = location.source()
        with location.named():
            settings: dict[str, Any] = {"temporal_views": self.views, "generator": rng, "threads": 1}
            return sample_frames(source, frames=self.frames, prepare=self._resized, **settings)

    def _resized(self, frames: Frames) -> Frames:
        if self.short_side is None:
            return frames
        pixels_TCHW = torch.from_numpy(frames).permute(0, 3, 1, 2)
        resized = resize_frames(pixels_TCHW, self.short_side, self.interpolation, self.resize)
        return resized.permute(0, 2, 3, 1).numpy()


def __getattr__(name: str) -> Any:
    return renamed(__name__, name)
