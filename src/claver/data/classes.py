"""Class lists of known datasets, and the forms in which their names turn up in folders and annotation files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from claver.errors import ClaverError
from claver.moved import renamed
from claver.names import composed, plain
from claver.suggest import hint_or_some

BENCHMARKS = ("kinetics400", "kinetics600", "ucf101", "hmdb51")

K600_DRAWS = ("kinetics600-draw1", "kinetics600-draw2", "kinetics600-draw3")
"""The three published draws of 160 of the 220 classes of Kinetics-600 that lie outside Kinetics-400."""

DATASETS = (*BENCHMARKS, "ssv2", *K600_DRAWS)
"""Datasets whose classes are known by name, in official order."""


@lru_cache(maxsize=32)
def dataset_classes(name: str, *, raw: bool = False) -> tuple[str, ...]:
    """The classes of one of `DATASETS` in official order, in words, or with `raw` as its authors wrote them.

    Raises:
        ClaverError: an unknown dataset.
    """
    if name in BENCHMARKS:
        written = benchmark_classes(name, raw=raw)
        return tuple(word.replace(" ", "_") for word in written) if raw and name == "hmdb51" else tuple(written)
    if name not in DATASETS:
        raise ClaverError(f"there is no dataset {name!r} whose classes are known; known are {', '.join(DATASETS)}")
    return _list(name)


def _list(name: str) -> tuple[str, ...]:
    text = resources.files("claver.data").joinpath("lists", f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def words(name: str) -> str:
    """A folder's name as words: underscores become blanks."""
    return re.sub(r"[_ \t]+", " ", composed(name)).strip() or name


def benchmark_classes(name: str, *, raw: bool = False) -> list[str]:
    """The classes of a benchmark in its official order.

    Args:
        name: one of `BENCHMARKS`.
        raw: UCF-101's names as its authors wrote them (`ApplyEyeMakeup`) in place of words (`apply eye makeup`).
    """
    if name not in BENCHMARKS:
        raise ClaverError(f"there is no benchmark {name!r}; known are {', '.join(BENCHMARKS)}")
    lines = resources.files("claver.data").joinpath("lists", f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return lines if raw or name != "ucf101" else [split_camel_case(line) for line in lines]


def split_camel_case(name: str) -> str:
    """`ApplyEyeMakeup` to `apply eye makeup`."""
    return " ".join(re.findall(r"[A-Z][a-z]*|[a-z]+|\d+", name)).lower()


class ClassFinder:
    """Finds classes by any of their spellings: `riding_a_bike`, `RidingABike` and `riding a bike` are one."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(map(composed, classes))
        self._exact = {name: index for index, name in enumerate(self.classes)}
        self._plain: dict[str, int | None] = {}
        for index, name in enumerate(self.classes):
            self._plain[plain(name)] = None if plain(name) in self._plain else index

    def find(self, name: str) -> int | None:
        """The index of a class, or None where no class (or more than one) is meant."""
        return self._exact.get(composed(name), self._plain.get(plain(name)))

    def index(self, name: str, place: str) -> int:
        """The index of a class; a `ClaverError` that begins with `place` and names the nearest where there is none."""
        found = self.find(name)
        if found is None:
            near = hint_or_some(name, self.classes)
            raise ClaverError(f"{place}: {name!r} is none of the {len(self.classes)} classes{near}")
        return found


def recognize_dataset(names: Iterable[str], candidates: Sequence[str] = (*BENCHMARKS, "ssv2")) -> str:
    """The known dataset that has exactly these classes, in any spelling; empty if none has."""
    spelt = {plain(name) for name in names}
    return next((name for name in candidates if {plain(known) for known in dataset_classes(name)} == spelt), "")


def __getattr__(name: str) -> Any:
    return renamed(__name__, name)
