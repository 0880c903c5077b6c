"""Parts of a dataset that papers agree on: K clips of each class, and the draws of classes of Kinetics-600."""

from __future__ import annotations

import hashlib

from claver.data.classes import K600_DRAWS, dataset_classes
from claver.data.manifest import Manifest
from claver.errors import ClaverError


def few_shot(manifest: Manifest, clips: int, *, seed: int = 0) -> Manifest:
    """Exactly `clips` clips of each class, of the split `train` where the manifest has splits.

    For one seed the clips of a smaller number are among those of a larger. Which they are depends on the seed and on
    the paths as they are listed, not on their order nor on the machine.

    Raises:
        ClaverError: a class with fewer clips.
    """
    if clips < 1:
        raise ClaverError(f"few-shot needs at least 1 clip of each class, not {clips}")
    pool = manifest.select("train") if "train" in manifest.splits else manifest
    chosen: list[int] = []
    for name, rows in zip(pool.classes, pool.by_class(), strict=True):
        if len(rows) < clips:
            raise ClaverError(
                f"class {name!r} has {len(rows)} clips for training; {clips} of each class were asked for"
            )
        chosen += sorted(rows.tolist(), key=lambda row: _lot(seed, pool.samples[row].path))[:clips]
    return pool.subset(sorted(chosen))


def _lot(seed: int, path: str) -> bytes:
    """A number drawn for a clip. A hash, so that adding clips or another library leaves the others as they are."""
    return hashlib.sha256(f"{seed}\n{path}".encode("utf-8", "surrogateescape")).digest()


def k600_draw(manifest: Manifest, draw: int) -> Manifest:
    """The clips of one of the three published draws of 160 classes of Kinetics-600; only those classes compete.

    Raises:
        ClaverError: no such draw, or a manifest of something else.
    """
    if draw not in (1, 2, 3):
        raise ClaverError(f"there are draws 1, 2 and 3 of Kinetics-600, not {draw}")
    if manifest.dataset != "kinetics600":
        raise ClaverError(
            f"the draws are of Kinetics-600, and this manifest is of {manifest.dataset or 'no known dataset'}; make "
            "one with `claver data index FOLDER --dataset kinetics600`"
        )
    name = K600_DRAWS[draw - 1]
    drawn = manifest.restricted(dataset_classes(name), name)
    if not len(drawn):
        raise ClaverError(f"the manifest has no clip of the 160 classes of draw {draw}")
    return drawn
