"""What a study is: a list of runs, how one is carried out, and what all of them say beside the paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from claver.studies.table import Measured, Table

Settings = dict[str, Any]
"""What tells a run from the others: plain values that JSON can hold, `seed` among them."""
Figures = dict[str, Any]
"""What a run measured: numbers, or lists of numbers, by name."""


@dataclass(frozen=True)
class Options:
    """What the person asked for.

    Attributes:
        quick: within minutes on two cores, to see that it works; else at a size that tells the kinds apart.
        seeds: a run of everything for each.
        arguments: further words of the command line, for a study that takes some.
        model: weights to begin with, for a study of real clips.
        data: manifest of clips to learn from.
        test: manifest of clips to be measured on.
    """

    quick: bool = False
    seeds: tuple[int, ...] = (0, 1, 2)
    arguments: tuple[str, ...] = ()
    model: str | None = None
    data: Path | None = None
    test: Path | None = None


class Record(NamedTuple):
    """A finished run."""

    settings: Settings
    figures: Figures


@dataclass(frozen=True)
class Study:
    """A table or figure of the paper, to be run again.

    Attributes:
        name: as on the command line.
        title: of its table and figure.
        paper: what it reruns, such as `Table 7`.
        runs: the settings of every run.
        run: carries one out; the second argument is the folder where models and tokens are kept for other runs and
            studies. It is called in a process of its own, maybe several at once.
        table: what came out, beside the paper's numbers.
        draw: the same as a picture, PNG.
        commands: shell commands that do the same on real clips; None where no recipe can.
        arguments: names of further words on the command line.
        check: raises ClaverError on options that cannot be, before anything is computed.
        made_of: a digest of all that the figures of a run depend on besides its settings, such as recipes and texts; a
            run with another is not taken for done.
        takes_data: whether it runs on the real clips of `Options.data`.
    """

    name: str
    title: str
    paper: str
    runs: Callable[[Options], list[Settings]]
    run: Callable[[Settings, Path], Figures]
    table: Callable[[Sequence[Record]], Table]
    draw: Callable[[Sequence[Record], Path], None]
    commands: Callable[[Options], list[str]] | None = None
    arguments: tuple[str, ...] = ()
    check: Callable[[Options], None] = lambda options: None
    made_of: Callable[[Settings], str] = lambda settings: ""
    takes_data: bool = False


def key_of(settings: Settings) -> str:
    """The same text for the same settings, in whatever order they are written."""
    return as_before(json.dumps(settings, sort_keys=True, ensure_ascii=False))


def as_before(text: str) -> str:
    """Settings in the words of version 0.1, by which journals and caches that are kept know them."""
    return text.replace('"sinusoidal"', '"waves"')


def as_now(settings: Settings) -> Settings:
    """Settings that were kept in words of before in those of today."""
    return {key: "sinusoidal" if value == "waves" else value for key, value in settings.items()}


def measured(records: Sequence[Record], figure: str, where: Mapping[str, Any], *, scale: float = 1.0) -> Measured:
    """A figure over all records, which then differ in their seed, whose settings have the given values.

    Args:
        records: finished runs.
        figure: its name in their figures.
        where: what the settings must say; None asks that they say nothing of it.
        scale: 100 for per cent.
    """
    chosen = [r for r in records if all(r.settings.get(key) == value for key, value in where.items())]
    return Measured(tuple(scale * float(record.figures[figure]) for record in chosen))
