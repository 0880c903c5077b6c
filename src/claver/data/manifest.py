"""The manifest: one CSV file that lists clips with their actions, the common form of all datasets.

    path,label,split
    v_a/clip 1.mp4,apply eye makeup,train

Labels are names for people. Further columns are `split` (train, val, test), `raw_label` (the name as the dataset's
authors wrote it) and `dataset` (one whose classes are known: it gives the whole class list in official order, classes
without a clip included; without it the classes are the labels in alphabetical order). Any other columns are kept.
Paths are relative to the folder of the manifest, unless another root is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from claver.data.classes import DATASETS
from claver.errors import ClaverError
from claver.log import logger
from claver.names import composed
from claver.suggest import hint_or_some

Ints = npt.NDArray[np.int64]

SPLITS = ("train", "val", "test")
"""The splits of a dataset; other names of splits are kept as they are."""
_SPLITS = {"training": "train", "validation": "val", "validate": "val", "valid": "val", "testing": "test"}


@dataclass(frozen=True)
class Sample:
    """One clip: where it is (relative to the manifest's root, or absolute), its class, and its part of the dataset.

    `more` is what stands in further columns of the list.
    """

    path: str
    label: int
    split: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """Clips with their classes.

    Attributes:
        classes: names for people in composed letters (NFC), C of them, in official order where the dataset is a known
            one.
        samples: the clips.
        root: what relative paths are relative to.
        dataset: one of `claver.data.classes.DATASETS`, or empty.
        raw_classes: the names as the dataset's authors wrote them, C of them, or empty where they are the same.
        warnings: what the user should hear of, one sentence each.
        columns: further columns of the list, which say nothing here and are kept.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...] = field(repr=False)
    root: Path = Path()
    dataset: str = ""
    raw_classes: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = field(default=(), repr=False)
    columns: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.classes:
            raise ClaverError("a manifest needs at least one class")
        object.__setattr__(self, "classes", tuple(map(composed, self.classes)))
        seen: set[str] = set()
        for name in self.classes:
            if not name or name != name.strip():
                raise ClaverError(f"class {name!r} is empty or has blanks around it; give it a name of words")
            if name in seen:
                raise ClaverError(f"class {name!r} is listed more than once")
            seen.add(name)
        if self.raw_classes and len(self.raw_classes) != len(self.classes):
            raise ClaverError(f"there are {len(self.raw_classes)} raw names for {len(self.classes)} classes")
        for sample in self.samples:
            if not 0 <= sample.label < len(self.classes):
                raise ClaverError(f"{sample.path}: label {sample.label} is not in 0 … {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        splits = "".join(f", {split}" for split in self.splits if split)
        return f"Manifest({self.dataset or 'own data'}: {len(self)} clips of {len(self.classes)} classes{splits})"

    @cached_property
    def labels(self) -> Ints:
        """Class indices, int64 [N]."""
        return np.array([sample.label for sample in self.samples], dtype=np.int64)

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts of the dataset that occur, in order of appearance."""
        return tuple(dict.fromkeys(sample.split for sample in self.samples))

    def path(self, row: int) -> str:
        """Where a clip is: absolute, or relative to the working directory if the root is."""
        return os.path.join(self.root, self.samples[row].path)

    def paths(self) -> list[str]:
        """`path` of every clip."""
        return [self.path(row) for row in range(len(self))]

    def raw_name(self, label: int) -> str:
        """The name of a class as the dataset's authors wrote it."""
        return (self.raw_classes or self.classes)[label]

    def by_class(self) -> list[Ints]:
        """For each class the rows of its clips, ascending."""
        order = np.argsort(self.labels, kind="stable")
        return np.split(order, np.cumsum(self.counts())[:-1])

    def counts(self) -> Ints:
        """Clips of each class, int64 [C]."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    def empty_classes(self) -> list[str]:
        """Classes without a clip."""
        return [name for name, count in zip(self.classes, self.counts(), strict=True) if count == 0]

    def require_every_class(self, purpose: str = "training") -> None:
        """Raise `ClaverError` if some class has no clip."""
        if empty := self.empty_classes():
            more = f" (nor have {len(empty) - 1} others)" if len(empty) > 1 else ""
            raise ClaverError(
                f"class {empty[0]!r} has no clip{more}, and {purpose} needs one of every class; add clips, or leave "
                "such classes out with `claver data index --only-present`"
            )

    def subset(self, rows: Iterable[int]) -> Manifest:
        """The clips of some rows, in their order, with the same classes."""
        return replace(self, samples=tuple(self.samples[int(row)] for row in rows))

    def select(self, split: str | None) -> Manifest:
        """The clips of one split; all for None.

        Raises:
            ClaverError: no clip is of that split; those there are are named.
        """
        if split is None:
            return self
        wanted = normal_split(split)
        rows = [row for row, sample in enumerate(self.samples) if sample.split == wanted]
        if not rows:
            known = ", ".join(name for name in self.splits if name)
            known = known or "none, its rows have no column 'split' (`claver data split --test 0.2` writes one)"
            raise ClaverError(f"no clip of the manifest is of split {wanted!r}; there are: {known}")
        return self.subset(rows)

    def restricted(self, classes: Sequence[str], dataset: str = "") -> Manifest:
        """Only these classes, in this order, with their clips; `dataset` is the name of the new list.

        Raises:
            ClaverError: a class that this manifest does not have.
        """
        place, classes = {name: index for index, name in enumerate(self.classes)}, tuple(map(composed, classes))
        for name in classes:
            if name not in place:
                raise ClaverError(f"the manifest has no class {name!r}{hint_or_some(name, self.classes)}")
        new = {place[name]: index for index, name in enumerate(classes)}
        samples = tuple(replace(s, label=new[s.label]) for s in self.samples if s.label in new)
        raw = tuple(self.raw_classes[place[name]] for name in classes) if self.raw_classes else ()
        return replace(self, classes=tuple(classes), samples=samples, dataset=dataset, raw_classes=raw)

    def among(self, classes: Sequence[str], name: str = "the manifest") -> Manifest:
        """The same clips with these classes, which may be more than its own, in their order.

        Raises:
            ClaverError: a class of its own that is not among them; `name` is what the message calls the manifest.
        """
        if self.classes == tuple(map(composed, classes)):
            return self
        place = {composed(known): index for index, known in enumerate(classes)}
        if new := [own for own in self.classes if own not in place]:
            near = hint_or_some(new[0], classes)
            raise ClaverError(f"class {new[0]!r} of {name} is none of the {len(place)} classes{near}")
        samples = tuple(replace(sample, label=place[self.classes[sample.label]]) for sample in self.samples)
        return replace(self, classes=tuple(classes), samples=samples, dataset="", raw_classes=())

    def only_present(self) -> Manifest:
        """Without the classes that have no clip; itself when every class has one."""
        counts = self.counts()
        present = [name for name, count in zip(self.classes, counts, strict=True) if count]
        return self if len(present) == len(self.classes) else self.restricted(present)

    def rooted(self, root: str | Path) -> Manifest:
        """The same clips with paths relative to `root` where they lie below it, absolute where they do not."""
        base = os.path.abspath(root)
        samples = tuple(replace(s, path=_below(os.path.join(self.root, s.path), base)) for s in self.samples)
        return replace(self, samples=samples, root=Path(base))

    def warn(self) -> None:
        """Log the warnings."""
        for sentence in self.warnings:
            logger.warning(sentence)


def normal_split(name: str) -> str:
    """`train`, `val` and `test` for the many ways to write them; other names as they are."""
    return _SPLITS.get(name.strip().lower(), name.strip().lower())


def overlap(train: Manifest, test: Manifest) -> list[str]:
    """Warnings, one sentence each, for videos that are in both: by their path on disk."""
    known = {os.path.realpath(path) for path in train.paths()}
    return [_both(path, "the training and the test set") for path in test.paths() if os.path.realpath(path) in known]


def _both(path: str, parts: str) -> str:
    return f"{path} is in both {parts}: results on it say nothing; remove it from one of them"


def _below(path: str, base: str) -> str:
    whole = os.path.abspath(path)
    return Path(whole).relative_to(base).as_posix() if Path(whole).is_relative_to(base) else whole


def check_duplicates(samples: Sequence[Sample], place: Sequence[str]) -> list[str]:
    """Warnings for clips that are in two splits.

    Args:
        samples: the clips.
        place: for each what a message calls its line.

    Raises:
        ClaverError: a clip that is listed twice in one split, or with two labels.
    """
    first: dict[str, int] = {}
    warnings = []
    for row, sample in enumerate(samples):
        earlier = first.setdefault(os.path.normpath(sample.path), row)
        if earlier == row:
            continue
        other = samples[earlier]
        if other.split == sample.split or other.label != sample.label:
            raise ClaverError(f"{place[row]}: {sample.path} is listed before, at {place[earlier]}; list it once")
        warnings.append(_both(sample.path, f"{other.split or 'no split'!r} and {sample.split or 'no split'!r}"))
    return warnings


def known_dataset(name: str, place: str) -> str:
    """The name, checked."""
    if name and name not in DATASETS:
        raise ClaverError(f"{place}: dataset {name!r} is not known; leave it out, or use one of {', '.join(DATASETS)}")
    return name
