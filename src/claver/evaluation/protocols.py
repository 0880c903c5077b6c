"""The paper's test protocols: every clip scored once, by however many processes, views summed (Eq. 10)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from claver.data.clips import ClipLocation, Clips
from claver.data.parts import part_for
from claver.distributed import merged, rank_and_size
from claver.errors import ClaverError
from claver.evaluation.metrics import confusion, per_class_accuracy, top_k_accuracy
from claver.moved import renamed
from claver.video.prefetch import DECODE_TIMEOUT

if TYPE_CHECKING:
    from claver.inference.recognizer import Recognizer
    from claver.video.damage import OnDamage


@dataclass(frozen=True)
class TestSet:
    """Labelled clips of one split or draw.

    Attributes:
        name: what to call it.
        classes: the C classes that compete, and no others.
        paths: the clips; a clip of several sets has one path.
        labels: the class of each, an index into `classes`.
        places: where their bytes are, if the clips are no files; each has its path as its name.
        dataset: one of `claver.data.DATASETS` whose classes these are, or empty.
        split: the part of the dataset that the clips are, or empty.
    """

    __test__ = False  # not for pytest

    name: str
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    locations: tuple[ClipLocation, ...] = field(default=(), repr=False)
    dataset: str = ""
    split: str = ""

    @classmethod
    def of(cls, name: str, clips: Clips, *, split: str | None = None, classes: Sequence[str] | None = None) -> TestSet:
        """Files, or members of shards.

        Args:
            name: what to call it.
            clips: the clips.
            split: only those of this split; if not given, those of `test`, or else of `val`, where there are splits,
                which is logged (see `claver.data.parts`).
            classes: what competes, at least the clips' own classes; if not given, those.

        Raises:
            ClaverError: training clips alone and no split asked for, no clip of the split, or a class of the clips
                that is not among `classes`.
        """
        taken = part_for(clips.manifest, "testing", split, name=name)
        chosen = clips.select(taken or None)
        manifest = chosen.manifest
        if classes is not None:
            manifest = manifest.among(classes, name)
        locations = [replace(place, name=path) for place, path in zip(chosen.locations, manifest.paths(), strict=True)]
        labels = tuple(manifest.labels.tolist())
        return cls(name, manifest.classes, tuple(manifest.paths()), labels, tuple(locations), manifest.dataset, taken)

    def among(self, classes: Sequence[str]) -> TestSet:
        """The same clips with these competitors, at least the classes there are."""
        place = {name: row for row, name in enumerate(classes)}
        return replace(self, classes=tuple(classes), labels=tuple(place[self.classes[label]] for label in self.labels))

    @property
    def benchmark(self) -> str:
        """The dataset it is a split or draw of, or empty."""
        return self.dataset.partition("-draw")[0]

    @property
    def is_draw(self) -> bool:
        """Whether its classes are a draw of the benchmark's."""
        return self.dataset != self.benchmark


@dataclass(frozen=True)
class Evaluation:
    """How a model did on one test set.

    Attributes:
        test: what it was tested on.
        scores: [B, C]; a clip that could not be read has −∞ everywhere and counts as wrong.
        failures: the clips that could not be read, with the cause.
        damaged: the clips with an answer that are damaged, with what is known of it.
        skipped: the damaged clips that were left out, and are not in `test`.
        seconds: for the clips with an answer when the frames used are shown, where that is known.
    """

    test: TestSet
    scores: Tensor
    failures: Mapping[str, str]
    damaged: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)

    def top(self, k: int = 1) -> float:
        """Top-k accuracy over all clips, unreadable ones included; ties as `claver.evaluation.metrics` has them."""
        return top_k_accuracy(self.scores, torch.tensor(self.test.labels), k)

    def per_class(self) -> dict[str, float]:
        """Top-1 accuracy of each class that has clips, unreadable ones included."""
        shares = per_class_accuracy(self.scores, torch.tensor(self.test.labels))
        return {name: share for name, share in zip(self.test.classes, shares.tolist(), strict=True) if share == share}

    def confusions(self, most: int = 10) -> list[tuple[str, str, int]]:
        """What is taken for what, most often first: (class, taken for, how often)."""
        counts = confusion(self.scores, torch.tensor(self.test.labels)).fill_diagonal_(0)
        order = counts.flatten().argsort(descending=True, stable=True)[:most].tolist()
        pairs = [divmod(place, len(self.test.classes)) for place in order if counts.flatten()[place]]
        return [(self.test.classes[a], self.test.classes[b], int(counts[a, b])) for a, b in pairs]


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def by_benchmark(tests: Sequence[TestSet]) -> list[list[TestSet]]:
    """The test sets that are splits or draws of one benchmark together, in the order of their first ones.

    Own data is of one benchmark where the classes are the same.
    """
    groups: dict[tuple[object, ...], list[TestSet]] = {}
    for test in tests:
        key = (test.benchmark, test.is_draw) if test.dataset else (frozenset(test.classes),)
        groups.setdefault(key, []).append(test)
    return list(groups.values())


Result = Mapping[str, float] | str
"""The score of each action by its name, or why the clip could not be read."""
Known = Mapping[str, Result | Sequence[float]]
"""Results of an earlier, interrupted run by path; scores without names are in the order of the recogniser's actions."""
_Row = Sequence[float] | str


class _Skipped(str):
    """Why a clip was left out: it counts neither as right nor as wrong."""


def evaluate(
    recognizer: Recognizer,
    tests: Sequence[TestSet],
    *,
    batch_size: int = 8,
    workers: int = 0,
    decode_timeout: float | None = DECODE_TIMEOUT,
    damaged: OnDamage | None = None,
    known: Known | None = None,
    known_damage: Mapping[str, str] | None = None,
    known_seconds: Mapping[str, Sequence[float]] | None = None,
    on_result: Callable[[str, Result], None] = lambda path, result: None,
    on_damage: Callable[[str, str], None] = lambda path, damage: None,
    on_seconds: Callable[[str, Sequence[float]], None] = lambda path, seconds: None,
) -> list[Evaluation]:
    """Score every clip of the test sets.

    A clip in several sets is read once. The score of an action does not depend on its competitors, so a set with
    fewer classes (a zero-shot draw) takes its columns of the scores; the released arithmetic, a softmax over the
    competitors, is the exception and is refused for sets of unlike classes.

    Under `torch.distributed` each process takes its share of the clips; all get the whole result.

    Args:
        recognizer: knows at least the classes of every set, by name.
        tests: one set, or several splits or draws.
        batch_size: views computed at once.
        workers: processes that decode ahead.
        decode_timeout: seconds after which a worker gives a clip up, None for never.
        damaged: what to do with damaged clips: `answer` them and say so; `skip` them, so that they do not count; or
            `fail`, so that they count as wrong. The recogniser's own setting if None.
        known: results of an earlier run of the same model and texts, not computed again where they have every action.
        known_damage: what that run knew of damage, by path.
        known_seconds: when the frames that it used are shown, by path.
        on_result: called with each new result of this process.
        on_damage: called before it for a damaged clip with an answer.
        on_seconds: called before it with when the frames used are shown.

    Raises:
        ClaverError: nothing but skipped clips in a set, a class the recogniser does not know, unlike classes with the
            released arithmetic, or scores that are not finite.
    """
    _check(recognizer, tests)
    paths: dict[str, str | ClipLocation] = {}
    for test in tests:
        paths |= zip(test.paths, test.locations or test.paths, strict=True)
    results = _rows(recognizer, known or {})
    rank, size = rank_and_size()
    mine = [paths[path] for path in list(paths)[rank::size] if path not in results]
    marks, moments = dict(known_damage or {}), dict(known_seconds or {})
    loading: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "decode_timeout": decode_timeout}
    for path, result, damage, seconds in _run(recognizer, mine, damaged=damaged, **loading):
        results[path] = result
        if seconds:
            moments[path] = seconds
            on_seconds(path, seconds)
        if damage:
            marks[path] = damage
            on_damage(path, damage)
        on_result(path, result if isinstance(result, str) else dict(zip(recognizer.actions, result, strict=True)))
    results, marks, moments = merged(results), merged(marks), merged(moments)
    place = {name: column for column, name in enumerate(recognizer.actions)}
    picked = [_pick(test, results, marks, [place[name] for name in test.classes]) for test in tests]
    shown = [{path: moments[path] for path in one.test.paths if path in moments} for one in picked]
    return [replace(one, seconds=seconds) for one, seconds in zip(picked, shown, strict=True)]


def _check(recognizer: Recognizer, tests: Sequence[TestSet]) -> None:
    for test in tests:
        if missing := [name for name in test.classes if name not in set(recognizer.actions)]:
            raise ClaverError(f"{test.name} has class {missing[0]!r}, for which the recogniser has no text")
        if recognizer.model.config.aggregate == "released" and set(test.classes) != set(recognizer.actions):
            raise ClaverError(
                f"{test.name} has other classes than the recogniser; with the released arithmetic, a softmax over the "
                "competitors, evaluate such sets one by one"
            )


def _rows(recognizer: Recognizer, known: Known) -> dict[str, _Row]:
    """Earlier results in the order of the recogniser's actions; without those of other competitors."""
    actions, released = set(recognizer.actions), recognizer.model.config.aggregate == "released"
    rows: dict[str, _Row] = {}
    for path, result in known.items():
        if isinstance(result, str) or not isinstance(result, Mapping):
            rows[path] = result
        elif actions == result.keys() or (actions <= result.keys() and not released):
            rows[path] = [result[name] for name in recognizer.actions]
    return rows


def _run(
    recognizer: Recognizer, paths: Sequence[str | ClipLocation], **settings: Any
) -> Iterator[tuple[str, _Row, str, Sequence[float]]]:
    """Path, scores or why there are none, and of a clip with scores what is damaged, and when its frames are shown."""
    from claver.inference.encoder import Failure

    for result in recognizer.stream(paths, **settings):
        if not isinstance(result, Failure):
            damage, seconds = "" if result.damaged is None else str(result.damaged), result.to_dict()["seconds"] or ()
            yield result.source, result.scores.tolist(), damage, seconds
        elif result.by_model:
            raise ClaverError(result.error)
        else:
            yield result.source, _Skipped(result.error) if result.skipped else result.error, "", ()


def _pick(test: TestSet, results: Mapping[str, _Row], marks: Mapping[str, str], columns: list[int]) -> Evaluation:
    skipped = {path: str(result) for path in test.paths if isinstance(result := results[path], _Skipped)}
    test = _without(test, skipped)
    scores = np.full((len(test.paths), len(columns)), -np.inf, dtype=np.float32)
    failures = {}
    for row, path in enumerate(test.paths):
        result = results[path]
        if isinstance(result, str):
            failures[path] = result
        else:
            scores[row] = np.asarray(result, dtype=np.float32)[columns]
    damaged = {path: marks[path] for path in test.paths if path in marks and path not in failures}
    return Evaluation(test, torch.from_numpy(scores), failures, damaged, skipped)


def _without(test: TestSet, skipped: Mapping[str, str]) -> TestSet:
    if not skipped:
        return test
    rows = [row for row, path in enumerate(test.paths) if path not in skipped]
    if not rows:
        raise ClaverError(f"all {len(test.paths)} clips of {test.name} are damaged and were skipped")
    locations = tuple(test.locations[row] for row in rows) if test.locations else ()
    paths, labels = tuple(test.paths[row] for row in rows), tuple(test.labels[row] for row in rows)
    return replace(test, paths=paths, labels=labels, locations=locations)


def __getattr__(name: str) -> Any:
    return renamed(__name__, name)
