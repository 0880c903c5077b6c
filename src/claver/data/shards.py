"""Shards: clips packed into tar files in WebDataset form, with an index that leads to each clip's bytes.

    shard-000000.tar        00000000.mp4, 00000000.json, 00000001.mp4, …
    shard-000000.json       its size, sha256, and the offset and size of each clip in it
    index.json              the classes and the shards

The same manifest, seed and size give the same bytes. A shard stands under its name only when it is whole, with its
own list beside it; interrupted, the same call resumes after the last.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from claver.data.manifest import Manifest, Sample
from claver.errors import ClaverError
from claver.files import MOST_TEXT, replacing, write_whole
from claver.json_text import read_json

FORM = "claver shards 1"
INDEX = "index.json"
_CHUNK = 2**20
_HEADER = 512  # bytes of a tar member before its contents; names are short enough for one header


@dataclass(frozen=True)
class Member:
    """A clip in a shard: its row in the manifest, where it was, its class and split, and where its bytes are."""

    row: int
    path: str
    label: int
    split: str
    offset: int
    size: int


@dataclass(frozen=True)
class Shard:
    """A tar file: its name, size in bytes, digest, and clips in their order."""

    file: str
    size: int
    sha256: str
    members: tuple[Member, ...]


def write_shards(
    manifest: Manifest,
    folder: str | Path,
    *,
    size: int = 512 * 2**20,
    seed: int = 0,
    on_shard: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Pack the clips of a manifest, in an order shuffled by `seed`, into shards of about `size` bytes.

    Args:
        manifest: what to pack.
        folder: where to; new, empty, or begun by the same call.
        size: bytes that a shard's clips may fill; one clip that is larger gets a shard to itself.
        seed: of the order, in which streams read the clips.
        on_shard: called with the number of clips done, and of all, after each shard.

    Returns:
        The index.

    Raises:
        ClaverError: a clip that is missing or empty, a folder that holds something else, or no room on the disk.
    """
    folder = Path(folder)
    sizes = [_size(manifest.path(row)) for row in range(len(manifest))]
    plan = _plan(sizes, size, seed)
    mark = _identity(manifest, sizes, plan)
    _prepare(folder, mark)
    shards, done = [], 0
    for number, rows in enumerate(plan):
        shard = _finished(folder, number, mark) or _write_shard(manifest, folder, number, rows, sizes, mark)
        shards.append(shard)
        done += len(rows)
        on_shard(done, len(manifest))
    index = {
        "form": FORM,
        "plan": mark,
        "dataset": manifest.dataset,
        "classes": list(manifest.classes),
        "raw_classes": list(manifest.raw_classes),
        "clips": len(manifest),
        "shards": [{"file": s.file, "size": s.size, "sha256": s.sha256, "clips": len(s.members)} for s in shards],
    }
    write_whole(folder / INDEX, _json(index))
    return folder / INDEX


def _size(path: str) -> int:
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise ClaverError(f"{path}: {reason}; `claver data check --write-good` leaves such clips out") from error
    if not size:
        raise ClaverError(f"{path} is empty; `claver data check --write-good` leaves such clips out")
    return size


def _plan(sizes: Sequence[int], limit: int, seed: int) -> list[list[int]]:
    """The rows of each shard."""
    if not sizes:
        raise ClaverError("there is no clip to pack into shards")
    if limit < 1:
        raise ClaverError(f"a shard's size must be at least 1 byte, not {limit}")
    plan: list[list[int]] = [[]]
    filled = 0
    for row in np.random.default_rng([seed, len(sizes)]).permutation(len(sizes)).tolist():
        if plan[-1] and filled + sizes[row] > limit:
            plan.append([])
            filled = 0
        plan[-1].append(row)
        filled += sizes[row]
    return plan


def _identity(manifest: Manifest, sizes: Sequence[int], plan: Sequence[Sequence[int]]) -> str:
    """What tells one packing from another."""
    rows = [(s.path, s.label, s.split, size) for s, size in zip(manifest.samples, sizes, strict=True)]
    return hashlib.sha256(_json([manifest.classes, rows, plan])).hexdigest()[:16]


def _prepare(folder: Path, mark: str) -> None:
    """An empty folder, or one that was begun with the same plan; half-written shards are removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(folder.iterdir())
        for path in present:
            if path.name.endswith(".writing"):
                path.unlink()
    except OSError as error:
        raise ClaverError(f"cannot write shards to {folder}: {error.strerror}") from error
    lists = [path for path in present if path.suffix == ".json"]
    if (present and not lists and not all(_ours(path) for path in present)) or any(
        _read_json(path).get("plan") != mark for path in lists
    ):
        raise ClaverError(
            f"{folder} holds other files, or shards of another manifest, size or seed; choose an empty folder"
        )


def _ours(path: Path) -> bool:
    return path.name.startswith((".", "shard-"))


def _names(number: int) -> tuple[str, str]:
    return f"shard-{number:06d}.tar", f"shard-{number:06d}.json"


def _finished(folder: Path, number: int, mark: str) -> Shard | None:
    """A shard written whole before: its list is written last."""
    tar, listed = (folder / name for name in _names(number))
    if not listed.exists() or not tar.exists():
        return None
    shard = _listed(folder, number)
    return shard if tar.stat().st_size == shard.size else None


def _write_shard(
    manifest: Manifest, folder: Path, number: int, rows: Sequence[int], sizes: Sequence[int], mark: str
) -> Shard:
    tar_name, list_name = _names(number)
    try:
        with replacing(folder / tar_name) as beside, beside.open("wb") as raw:
            hashing = _Hashing(raw)
            members = tuple(_members(manifest, hashing, rows, sizes))
    except OSError as error:
        raise ClaverError(
            f"cannot write {folder / tar_name}: {error.strerror}; the shards before it are whole, and the same "
            "command resumes from them"
        ) from error
    shard = Shard(tar_name, hashing.size, hashing.digest.hexdigest(), members)
    write_whole(folder / list_name, _json({"plan": mark, **asdict(shard)}))
    return shard


class _Hashing(io.RawIOBase):
    """Writes through, and takes the digest on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, content: Any) -> int:
        self.file.write(content)
        self.digest.update(content)
        self.size += len(content)
        return len(content)


def _members(manifest: Manifest, out: _Hashing, rows: Sequence[int], sizes: Sequence[int]) -> Iterator[Member]:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for row in rows:
            sample, path = manifest.samples[row], manifest.path(row)
            key = f"{row:08d}"
            suffix = os.path.splitext(sample.path)[1].lower() or ".mp4"
            offset = tar.offset + _HEADER
            _add_file(tar, f"{key}{suffix}", path, sizes[row])
            _add(tar, f"{key}.json", _description(manifest, sample))
            yield Member(row, sample.path, sample.label, sample.split, offset, sizes[row])


def _description(manifest: Manifest, sample: Sample) -> bytes:
    said = {"label": manifest.classes[sample.label], "class": sample.label, "path": sample.path}
    said |= {"split": sample.split} if sample.split else {}
    return _json(said | ({"raw_label": manifest.raw_name(sample.label)} if manifest.raw_classes else {}))


def _add_file(tar: tarfile.TarFile, name: str, path: str, size: int) -> None:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise ClaverError(f"{path} changed while it was packed; run the same command again")
            tar.addfile(_header(name, size), file)
    except FileNotFoundError as error:
        raise ClaverError(f"{path} vanished while it was packed") from error


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_header(name, len(content)), io.BytesIO(content))


def _header(name: str, size: int) -> tarfile.TarInfo:
    """Nothing of the machine or the day: equal clips give equal shards."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o644
    return header


def _json(content: Any) -> bytes:
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    content = read_json(path, MOST_TEXT)
    if not isinstance(content, dict):
        raise ClaverError(f"{path} is not a list of shards")
    return content


def _require(said: Any, path: Path, kinds: dict[str, type]) -> Any:
    """`said`, an object whose values are of these types, numbers from 0 on.

    Raises:
        ClaverError: it is another.
    """
    for name, kind in kinds.items():
        value = said.get(name) if isinstance(said, dict) else None
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            raise ClaverError(
                f"{path} is not a list of shards: {name} is missing there, or odd; write the shards again"
            )
    return said


def _shard(said: Any, path: Path) -> Shard:
    _require(said, path, {"file": str, "size": int, "sha256": str, "members": list})
    fields = {"row": int, "path": str, "label": int, "split": str, "offset": int, "size": int}
    whole = [_require(member, path, fields) for member in said["members"]]
    members = tuple(Member(**{name: member[name] for name in fields}) for member in whole)
    return Shard(said["file"], said["size"], said["sha256"], members)


def _listed(folder: Path, number: int) -> Shard:
    """A shard by its list, which may name nothing but the shard beside it and the bytes within."""
    tar, name = _names(number)
    shard = _shard(_read_json(folder / name), folder / name)
    within = all(m.size > 0 and m.offset + m.size <= shard.size for m in shard.members)
    if shard.file != tar:
        raise ClaverError(f"{folder / name} names {shard.file!r}; a list names the shard beside it, {tar}")
    if not within:
        raise ClaverError(f"{folder / name} lists a clip beyond the {shard.size} bytes of its shard")
    return shard


def read_index(folder: str | Path) -> tuple[dict[str, Any], list[Shard]]:
    """The index of a folder of shards, and its shards.

    Raises:
        ClaverError: there is none, or it is of another form.
    """
    folder = Path(folder)
    if not (folder / INDEX).is_file():
        begun = any(folder.glob("shard-*"))
        hint = "; they are unfinished, run `claver data shard` again" if begun else ""
        raise ClaverError(f"{folder} has no {INDEX}, as a folder of shards should{hint}")
    index = _read_json(folder / INDEX)
    if index.get("form") != FORM:
        raise ClaverError(f"{folder / INDEX} is of form {index.get('form')!r}, not {FORM!r}")
    _require(index, folder / INDEX, {"dataset": str, "classes": list, "raw_classes": list, "shards": list})
    if not all(isinstance(name, str) for name in index["classes"] + index["raw_classes"]):
        raise ClaverError(f"{folder / INDEX} is not a list of shards: its classes are no texts; write the shards again")
    return index, [_listed(folder, number) for number in range(len(index["shards"]))]


def verify_shards(folder: str | Path) -> list[str]:
    """Read every shard and compare its digest: one sentence for each that is not as it was written."""
    folder = Path(folder)
    faults = []
    for shard in read_index(folder)[1]:
        path = folder / shard.file
        if not path.is_file():
            faults.append(f"{path} is missing")
        elif file_digest(path) != shard.sha256:
            faults.append(f"{path} is not as it was written (its sha256 differs)")
    return faults


def file_digest(path: str | Path, *, progress: Callable[[], None] = lambda: None) -> str:
    """The sha256 of a file's contents; `progress` is called with each part of it that was read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
            progress()
    return digest.hexdigest()
