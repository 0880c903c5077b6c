"""Image tokens on disk: with a frozen image tower each clip is decoded and encoded once, and never again.

    FOLDER/KEY/tokens-00000.safetensors, tokens-00001.safetensors, …

KEY is a hash of all that the tokens depend on: the image tower's weights, the preprocessing, the frames, the views, and
the clips: their names, sizes, and samples of their bytes. A shard holds float16 tokens [n·V, T, N, D] of consecutive
clips and the numbers of those that could be read; in its header stand the key and a checksum. It appears whole or not
at all, so an interrupted run goes on with the first shard that is missing. Training reads the memory-mapped shards.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from claver.cache_folder import usual_place
from claver.data.clips import CenterCrop, ClipDecoder, ClipLocation, Clips
from claver.data.loading import TOLERATED, read_in_order
from claver.data.manifest import Manifest
from claver.distributed import from_everyone, rank_and_size, wait_for_all
from claver.errors import ClaverError, VideoError
from claver.files import replacing
from claver.log import logger
from claver.models import Claver
from claver.models.fingerprint import add_tensors, values_of
from claver.training.recipe import Videos
from claver.training.tokens import normalized
from claver.video.prefetch import DECODE_TIMEOUT
from claver.video.reader import Frames

_SHARD_BYTES = 2**28
_FRAMES_AT_ONCE = 64
_SAMPLE = 2**16  # bytes at the beginning, in the middle and at the end that tell one clip from another
_READING = 2  # to be raised whenever other frames are chosen from a clip, or other pixels made of them
_READERS = 16  # threads that wait for the disk


@dataclass(frozen=True)
class CachedTokens:
    """Labelled clips as cached tokens, to be used in the place of `claver.training.tokens.TokenClips`.

    Attributes:
        manifest: the clips.
        shards: the files.
        views: V, samplings of each clip.
        rows: int64 [M], the clips that could be read.
    """

    manifest: Manifest
    shards: tuple[Path, ...] = field(repr=False)
    views: int
    rows: Tensor = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows) * self.views

    @cached_property
    def labels(self) -> Tensor:
        """Class indices, int64 [M · V]."""
        return torch.from_numpy(self.manifest.labels)[self.rows].repeat_interleave(self.views)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [b, T, N, D] in float32 and labels [b]; row r is view r mod V of the readable clip r // V."""
        tokens = [self._token(int(row)) for row in rows]
        return torch.cat(tokens).float(), self.labels[rows]

    def _token(self, row: int) -> Tensor:
        shard = int(np.searchsorted(self._ends, row, side="right"))
        first = int(self._ends[shard - 1]) if shard else 0
        return self._open[shard][row - first : row - first + 1]

    @cached_property
    def _open(self) -> list[Any]:
        files: list[Any] = [safe_open(path, framework="pt") for path in self.shards]
        return [file.get_slice("tokens") for file in files]

    @cached_property
    def _ends(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.cumsum([part.get_shape()[0] for part in self._open], dtype=np.int64)


def cache_clips(
    model: Claver,
    clips: Clips,
    folder: str | Path,
    *,
    views: int = 1,
    workers: int = 0,
    decode_timeout: float | None = DECODE_TIMEOUT,
    bad_share: float = 0.01,
    clips_per_shard: int | None = None,
    verify: bool = True,
    on_clip: Callable[[int, int], None] = lambda row, total: None,
) -> CachedTokens:
    """The tokens of all clips, computed where the folder does not hold them yet.

    In several processes each computes its share of the shards; the folder must be one they all see.

    Args:
        model: its image tower is used as it is; train on the result only while that is frozen.
        clips: what to encode.
        folder: where caches lie, each in a folder of its own named by its key.
        views: V deterministic samplings of each clip, all of the centre crop.
        workers: processes that decode.
        decode_timeout: seconds after which a worker gives a clip up, None for never.
        bad_share: share of the clips that may be unreadable, at least 10 clips; they are left out, with a warning.
        clips_per_shard: by default as many as make 256 MiB.
        verify: read shards that are there already and compare their checksums; a damaged one is made again.
        on_clip: called with the number of each clip when it is done, and with how many this process has to do.

    Raises:
        ClaverError: the folder cannot be written, too many clips cannot be read, or less than one clip in a shard.
    """
    if clips_per_shard is not None and clips_per_shard < 1:
        raise ClaverError(f"clips_per_shard must be at least 1, not {clips_per_shard}")
    rank, size = rank_and_size()
    key = from_everyone(cache_key(model, clips, views) if rank == 0 else "")[0]
    place = Path(folder) / key[:20]
    _prepare(Path(folder), place)
    each = max(1, _SHARD_BYTES // _clip_bytes(model, views)) if clips_per_shard is None else clips_per_shard
    starts = range(0, len(clips), each)
    shards = [place / f"tokens-{number:05d}-of-{len(starts):05d}.safetensors" for number in range(len(starts))]
    checked = [number for number in range(rank, len(shards), size) if not _is_sound(shards[number], key, verify)]
    # Dealt out anew, so that no process waits for another that has more left to do.
    mine = sorted(number for numbers in from_everyone(checked) for number in numbers)[rank::size]
    ranges = [range(starts[number], min(starts[number] + each, len(clips))) for number in mine]
    total = sum(map(len, ranges))
    loading = {"workers": workers, "decode_timeout": decode_timeout}
    for number, rows in zip(mine, ranges, strict=True):
        tokens, readable, causes = _encode(model, clips, rows, views, loading, lambda row: on_clip(row, total))
        _write(shards[number], {"tokens": tokens, "rows": readable}, key, causes)
    wait_for_all()
    return _opened(clips.manifest, shards, views, bad_share)


def token_folder(videos: Videos) -> Path:
    """Where the caches of a recipe lie.

    Raises:
        ClaverError: in the usual place, which there is not.
    """
    if isinstance(videos.cache, Path):
        return videos.cache
    if (usual := usual_place("tokens")) is None:
        raise ClaverError(
            "videos.cache=true keeps tokens below ~/.cache/claver, but CLAVER_CACHE is empty or there is no home; give "
            "a folder, such as videos.cache=/data/tokens"
        )
    return usual


def cache_key(model: Claver, clips: Clips, views: int) -> str:
    """A hash of all that the tokens depend on, 64 hexadecimal digits.

    Of the clips it takes names, sizes and samples of their bytes, in order; not their place on disk nor their times, so
    that a dataset can be moved and copied.
    """
    hashed = hashlib.sha256()
    config = model.config
    settings = {"preprocess": asdict(config.preprocess), "image": config.image.telling, "views": views}
    settings |= {
        "frames": config.temporal.frames,
        "activation": config.activation,
        "class": not model.temporal.needs_patches,
    }
    settings |= {"norm_eps": config.norm_eps, "reading": _READING}
    if config.preprocess.center != "rounded":
        settings["cut"] = config.preprocess.center  # such tokens were once cut as if they were rounded
    hashed.update(json.dumps(settings, sort_keys=True).encode())
    add_tensors(hashed, model.image.state_dict())
    with ThreadPoolExecutor(_READERS) as readers:
        for sample, digest in zip(clips.manifest.samples, readers.map(_sampled, clips.locations), strict=True):
            hashed.update(f"{sample.path}\n{digest}\n".encode("utf-8", "surrogateescape"))
    return hashed.hexdigest()


def _opened(manifest: Manifest, shards: list[Path], views: int, bad_share: float) -> CachedTokens:
    rows, causes = [], []
    for path in shards:
        with safe_open(path, framework="pt") as file:
            rows.append(file.get_tensor("rows"))
            causes += json.loads(file.metadata()["causes"])
    readable = torch.cat(rows)
    if causes:
        head = " ".join(causes[:3])
        if len(causes) > max(TOLERATED, int(bad_share * len(manifest))) or not len(readable):
            raise ClaverError(
                f"{len(causes)} of {len(manifest)} clips cannot be read, more than are tolerated; `claver data check` "
                f"lists them. The first: {head}"
            )
        logger.warning("%d clips cannot be read and are left out of the cached tokens: %s", len(causes), head)
    manifest.subset(readable.tolist()).require_every_class()
    return CachedTokens(manifest, tuple(shards), views, readable)


def _encode(
    model: Claver,
    clips: Clips,
    numbers: Sequence[int],
    views: int,
    loading: Mapping[str, Any],
    on_clip: Callable[[int], None],
) -> tuple[Tensor, Tensor, list[str]]:
    """Tokens of some clips, the numbers of those that could be read, and why the others could not."""
    preprocess = model.config.preprocess
    crop, frames = CenterCrop(preprocess.size, preprocess.center), model.config.temporal.frames
    way, resize = preprocess.interpolation, preprocess.resize
    decoder = ClipDecoder(frames, preprocess.short_side, crop, "centre", views, way, resize)
    made, readable, causes = [], [], []
    for row, result in read_in_order(clips, numbers, decoder, **loading):
        on_clip(row)
        if isinstance(result, VideoError):
            causes.append(str(result))
            continue
        made.append(torch.cat(list(_tokens(model, result))).unflatten(0, (views, frames)))
        readable.append(row)
    kept = torch.cat(made) if made else torch.zeros(0, *_shape(model), dtype=torch.float16)
    return kept, torch.tensor(readable, dtype=torch.int64), causes


@torch.no_grad()
def _tokens(model: Claver, frames: Frames) -> Iterator[Tensor]:
    """float16 [f, N, D] of frames uint8 [F, h, w, 3], a few frames at a time."""
    for part in normalized(frames, model.config.preprocess).split(_FRAMES_AT_ONCE):
        tokens = model.image_tokens(part[None].to(model.device))[0]
        yield tokens.to("cpu", torch.float16)


def _write(path: Path, tensors: dict[str, Tensor], key: str, causes: list[str]) -> None:
    header = {"key": key, "sha256": _checksum(tensors), "causes": json.dumps(causes)}
    try:
        with replacing(path) as beside:
            save_file(tensors, beside, metadata=header)
    except (OSError, SafetensorError) as error:
        raise ClaverError(f"cannot write {path}: {error}; free some space or give another videos.cache") from error


def _is_sound(path: Path, key: str, verify: bool) -> bool:
    """Whether a shard is there, of this key and, if asked for, unharmed."""
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()} if verify else {}  # noqa: SIM118
    except (OSError, SafetensorError):
        header, tensors = {}, {}
    if header.get("key") == key and (not verify or header.get("sha256") == _checksum(tensors)):
        return True
    logger.warning("%s is damaged and is made again", path)
    return False


def _checksum(tensors: dict[str, Tensor]) -> str:
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        hashed.update(f"{name} {tuple(tensors[name].shape)}".encode())
        hashed.update(values_of(tensors[name]))
    return hashed.hexdigest()


def _prepare(folder: Path, place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClaverError(f"cannot write the cached tokens to {place}: {error.strerror}") from error
    others = [other.name for other in folder.iterdir() if other.is_dir() and other != place]
    if others and not any(place.iterdir()):
        logger.warning("%s holds tokens of other weights, settings or clips; they are not used", folder / others[0])


def _shape(model: Claver) -> tuple[int, int, int]:
    config = model.config
    return config.temporal.frames, config.image.tokens if model.temporal.needs_patches else 1, config.image.width


def _clip_bytes(model: Claver, views: int) -> int:
    frames, tokens, width = _shape(model)
    return 2 * views * frames * tokens * width


def _sampled(place: ClipLocation) -> str:
    """Size and a digest of some of the bytes of a clip; of what cannot be read that it cannot."""
    try:
        with open(place.file, "rb") as file:
            size = os.fstat(file.fileno()).st_size if place.size is None else place.size
            hashed = hashlib.sha256()
            for start in dict.fromkeys((0, max(0, (size - _SAMPLE) // 2), max(0, size - _SAMPLE))):
                file.seek(place.offset + start)
                hashed.update(file.read(min(_SAMPLE, size)))
    except OSError:
        return "unreadable"
    return f"{size} {hashed.hexdigest()}"
