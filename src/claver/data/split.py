"""Parts of a dataset: K clips of each class, a share for testing, and the draws of classes of Kinetics-600."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from claver.data.classes import K600_DRAWS, dataset_classes
from claver.data.manifest import Manifest
from claver.data.parts import part_for
from claver.errors import ClaverError
from claver.names import composed, plain


def few_shot(manifest: Manifest, clips: int, *, seed: int = 0, split: str | None = None) -> Manifest:
    """Exactly `clips` clips of each class.

    For one seed the clips of a smaller number are among those of a larger. Which they are depends on the seed and on
    the names of the files within their classes, not on their order, nor on the machine, nor on where the files lie.

    Args:
        manifest: what to draw from.
        clips: of each class.
        seed: which of them.
        split: of this split; if not given, of `train` where the manifest has splits.

    Raises:
        ClaverError: a class with fewer clips, or no training clip in a manifest that has splits.
    """
    if clips < 1:
        raise ClaverError(f"few-shot needs at least 1 clip of each class, not {clips}")
    pool = manifest.select(part_for(manifest, "training", split, told=False) or None)
    names = clip_names(pool)
    chosen: list[int] = []
    for name, rows in zip(pool.classes, pool.by_class(), strict=True):
        if len(rows) < clips:
            raise ClaverError(
                f"class {name!r} has {len(rows)} clips for training; {clips} of each class were asked for"
            )
        chosen += sorted(rows.tolist(), key=lambda row: draw(seed, names[row]))[:clips]
    return pool.subset(sorted(chosen))


def train_test(manifest: Manifest, share: float, *, seed: int = 0, groups: Sequence[str] | None = None) -> Manifest:
    """The same clips with a split: of each class about a share for testing, groups whole, and one left to learn from.

    Which they are depends on the seed, the names of the files within their classes, and the groups; not on the order
    of the manifest, nor on where the files lie. A class of one clip, or of one group, has training clips alone.

    Args:
        manifest: the clips; splits that they have are replaced.
        share: above 0 and below 1.
        seed: which clips.
        groups: for each clip its group, such as the person in it, or the recording it was cut from; each clip is
            one if not given.

    Raises:
        ClaverError: a share that is none, or no clip that could be set apart.
    """
    if not 0 < share < 1:
        raise ClaverError(f"the share for testing should be above 0 and below 1, such as 0.2, not {share}")
    counts = manifest.counts().tolist()
    quota = [max(1, min(int(share * count + 0.5), count - 1)) if count > 1 else 0 for count in counts]
    names = [f"{manifest.classes[s.label]}/{n}" for s, n in zip(manifest.samples, clip_names(manifest), strict=True)]
    rows_of: dict[str, list[int]] = {}
    for row, group in enumerate(names if groups is None else groups):
        rows_of.setdefault(group, []).append(row)
    drawn = sorted(rows_of, key=lambda group: draw(seed, group))
    sizes = {group: Counter(manifest.samples[row].label for row in rows_of[group]) for group in drawn}
    test = _for_testing(drawn, sizes, quota, counts)
    if not test:
        raise ClaverError("no clip can be set apart: every class has one clip, or one group of clips")
    chosen = {row for group in test for row in rows_of[group]}
    samples = (
        replace(sample, split="test" if row in chosen else "train") for row, sample in enumerate(manifest.samples)
    )
    return replace(manifest, samples=tuple(samples))


def _for_testing(
    drawn: Sequence[str], sizes: Mapping[str, Counter[int]], quota: Sequence[int], counts: Sequence[int]
) -> list[str]:
    """Groups in the order drawn while no class exceeds its quota; then for a class that got none its smallest."""
    taken, test = Counter[int](), list[str]()
    for group in drawn:
        if all(taken[label] + size <= quota[label] for label, size in sizes[group].items()):
            test.append(group)
            taken += sizes[group]
    for label in range(len(quota)):
        if taken[label] or not quota[label]:
            continue
        possible = [
            group
            for group in drawn
            if group not in test
            and sizes[group][label]
            and all(taken[other] + size < counts[other] for other, size in sizes[group].items())
        ]
        if possible:
            test.append(min(possible, key=lambda group: sizes[group].total()))
            taken += sizes[test[-1]]
    return test


def groups_by(manifest: Manifest, pattern: str) -> list[str]:
    """For each clip the group it is in: its value in a further column of the manifest, if there is one of that name.

    Else what a regular expression finds in its path: its first group in brackets, or all of it.

    Raises:
        ClaverError: an empty value; no such expression, or a path in which it finds nothing.
    """
    if (column := pattern.strip().lower()) in manifest.columns:
        return _column(manifest, column)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ClaverError(f"{pattern!r} is no column of the manifest, and no regular expression: {error}") from error
    found = []
    for sample in manifest.samples:
        if not (match := expression.search(sample.path)):
            raise ClaverError(f"{pattern!r} is no column of the manifest, and is not found in the path {sample.path}")
        found.append(match[1] if expression.groups and match[1] is not None else match[0])
    return found


def _column(manifest: Manifest, column: str) -> list[str]:
    values = [sample.more[manifest.columns.index(column)].strip() for sample in manifest.samples]
    for sample, value in zip(manifest.samples, values, strict=True):
        if not value:
            raise ClaverError(f"the column {column!r} of {sample.path} is empty; it should name the clip's group")
    return values


def clip_names(manifest: Manifest) -> list[str]:
    """A name for each clip that does not depend on where the files lie: its path within the folder of its class.

    Where no folder is that of the class it is the name of the file, and as many folders as tell it from others.
    """
    parts = [[composed(part) for part in sample.path.split("/")] for sample in manifest.samples]
    names = [_in_class(own, manifest, sample.label) for own, sample in zip(parts, manifest.samples, strict=True)]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        often = Counter((sample.label, name) for sample, name in zip(manifest.samples, names, strict=True))
        for row, sample in enumerate(manifest.samples):
            if often[sample.label, names[row]] > 1:
                names[row] = "/".join(parts[row][-depth:])
    return names


def _in_class(parts: Sequence[str], manifest: Manifest, label: int) -> str:
    own = {plain(manifest.classes[label]), plain(manifest.raw_name(label))}
    begin = next((place + 1 for place in reversed(range(len(parts) - 1)) if plain(parts[place]) in own), len(parts) - 1)
    return "/".join(parts[begin:])


def draw(seed: int, name: str) -> bytes:
    """A number drawn for a name. A hash, so that adding clips or another library leaves the others as they are."""
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogateescape")).digest()


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
