"""The clips that a dataset lists, as a layout's reader returns them, before their files are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from claver.data.classes import ClassFinder, dataset_classes
from claver.data.layouts.tree import Tree, stem
from claver.errors import ClaverError
from claver.names import composed


@dataclass(frozen=True)
class Entry:
    """One listed clip: its name in the list, class, split, and the file names it may have besides the listed one."""

    listed: str
    label: int
    split: str = ""
    stems: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """File names without suffix, the likeliest first."""
        return self.stems or (stem(self.listed),)


@dataclass(frozen=True)
class Listing:
    """Everything a dataset lists.

    Attributes:
        classes: names for people, in order.
        entries: the clips.
        dataset: the known dataset this is, or empty.
        raw_classes: the names as they were written, or empty.
        notes: what the user should hear of.
    """

    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    dataset: str = ""
    raw_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def raw(self) -> tuple[str, ...]:
        """The names as they were written, which may be the same."""
        return self.raw_classes or self.classes


@dataclass(frozen=True)
class LayoutRequest:
    """A request to read a dataset.

    Attributes:
        tree: the folder with the videos.
        annotations: the lists that may be read.
        fold: which of the three official splits of UCF-101 and HMDB-51.
        dataset: the known dataset it is said to be, or empty.
        classes: the class list given by the user, or empty.
        first_label: the number of the first class where labels are numbers; None where that was not told.
    """

    tree: Tree
    annotations: tuple[Path, ...] = ()
    fold: int = 1
    dataset: str = ""
    classes: tuple[str, ...] = field(default=())
    first_label: int | None = None

    def given_classes(self) -> tuple[str, ...]:
        """The class list that the user chose, or empty."""
        return self.classes or (dataset_classes(self.dataset) if self.dataset else ())

    def raw_of(self, classes: Sequence[str]) -> tuple[str, ...]:
        """The raw names of the chosen dataset, where it has any."""
        raw = dataset_classes(self.dataset, raw=True) if self.dataset and not self.classes else ()
        return raw if raw != tuple(classes) else ()


def numbered_classes(
    labels: Sequence[tuple[str, str]], request: LayoutRequest
) -> tuple[tuple[str, ...], list[int], tuple[str, ...]]:
    """Classes, class indices of labels that are names or numbers, and notes on how numbers were read.

    Args:
        labels: each label with what a message calls its line.
        request: the class list, if one is given; it is needed where the labels are numbers.
    """
    given = request.given_classes()
    if all(label.isdecimal() for label, _ in labels) and not all(label in given for label, _ in labels):
        first, notes = _first_number({int(label) for label, _ in labels}, len(given), request.first_label)
        return given, [_number(label, place, given, first) for label, place in labels], notes
    classes = given or tuple(sorted({composed(label) for label, _ in labels}))
    finder = ClassFinder(classes)
    return classes, [finder.index(label, place) for label, place in labels], ()


def _first_number(numbers: set[int], classes: int, told: int | None) -> tuple[int, tuple[str, ...]]:
    """The number of the first class: as told, or by the ends that occur, 0 or the number of classes."""
    if told is not None or 0 in numbers or not classes:
        return told or 0, ()
    if max(numbers) == classes:
        return 1, (f"the labels count from 1: {classes} is among them, and 0 is not",)
    unclear = f"neither 0 nor {classes} is among the labels, which are taken to count from 0; else add --first-label 1"
    return 0, (unclear,)


def _number(label: str, place: str, classes: Sequence[str], first: int) -> int:
    if not classes:
        raise ClaverError(
            f"{place}: the labels are numbers; name the classes with --dataset NAME, or with --classes FILE, one a line"
        )
    index = int(label) - first
    if not 0 <= index < len(classes):
        hint = " (do they count from 1? then add --first-label 1)" if index == len(classes) and not first else ""
        raise ClaverError(f"{place}: label {label} is not in {first} … {len(classes) - 1 + first}{hint}")
    return index
