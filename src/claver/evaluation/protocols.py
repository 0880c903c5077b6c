"""The paper's test protocols: every clip scored once, by however many processes, views summed (Eq. 10)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.data.clips import ClipLocation, Clips
from claver.data.parts import part_for
from claver.distributed import merged, rank_and_size
from claver.errors import ClaverError
from claver.evaluation.metrics import confusion, per_class_accuracy, top_k_accuracy
from claver.inference.jobs import Record
from claver.moved import renamed
from claver.text.wording import Wording, wording
from claver.video.prefetch import DECODE_TIMEOUT

if TYPE_CHECKING:
    from claver.inference.answering import Answering
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
    """Results of a model on one test set.

    Attributes:
        test: what it was tested on.
        scores: [B, C]; a clip that could not be read has −∞ everywhere and counts as wrong.
        failures: the clips that could not be read, with the cause.
        damaged: the clips with an answer that are damaged, with what is known of it.
        skipped: the damaged clips that were left out, and are not in `test`.
        seconds: for the clips with an answer when the frames used are shown, where that is known.
        wording: of the texts that competed; None where it is not known.
    """

    test: TestSet
    scores: Tensor
    failures: Mapping[str, str]
    damaged: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)
    wording: Wording | None = None

    def top(self, k: int = 1) -> float:
        """Top-k accuracy over all clips, unreadable ones included; ties as `claver.evaluation.metrics` has them."""
        return top_k_accuracy(self.scores, torch.tensor(self.test.labels), k)

    def per_class(self) -> dict[str, float]:
        """Top-1 accuracy of each class that has clips, unreadable ones included."""
        shares = per_class_accuracy(self.scores, torch.tensor(self.test.labels))
        return {name: share for name, share in zip(self.test.classes, shares.tolist(), strict=True) if share == share}

    def confusions(self, most: int = 10) -> list[tuple[str, str, int]]:
        """Confusions, most frequent first: (class, predicted class, count)."""
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


def evaluate(
    recognizer: Answering,
    tests: Sequence[TestSet],
    *,
    batch_size: int = 8,
    workers: int = 0,
    decode_timeout: float | None = DECODE_TIMEOUT,
    damaged: OnDamage | None = None,
    known: Mapping[str, Record] | None = None,
    on_record: Callable[[Record], object] = lambda record: None,
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
        known: records of an earlier run of the same model and texts by path; a clip whose record has scores of every
            action is not scored again.
        on_record: called with the record of each clip that this process has tried. It has the clip's `path` with
            `scores` by the actions' names, and perhaps `damaged`, what is known of damage, and `seconds`, when the
            frames used are shown; or it has `path` with `error` or `skipped`, why there are no scores.

    Raises:
        ClaverError: nothing but skipped clips in a set, a class the recogniser does not know, unlike classes with the
            released arithmetic, or scores that are not finite.
    """
    _check(recognizer, tests)
    paths: dict[str, str | ClipLocation] = {}
    for test in tests:
        paths |= zip(test.paths, test.locations or test.paths, strict=True)
    records = _known(recognizer, known or {})
    rank, size = rank_and_size()
    mine = [paths[path] for path in list(paths)[rank::size] if path not in records]
    loading: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "decode_timeout": decode_timeout}
    for record in _records(recognizer, mine, damaged=damaged, **loading):
        records[record["path"]] = record
        on_record(record | ({"scores": _named(record["scores"], recognizer.actions)} if "scores" in record else {}))
    records = merged(records)
    column, worded = {name: place for place, name in enumerate(recognizer.actions)}, wording(recognizer.texts)
    return [_pick(test, records, [column[name] for name in test.classes], worded) for test in tests]


def _check(recognizer: Answering, tests: Sequence[TestSet]) -> None:
    for test in tests:
        if missing := [name for name in test.classes if name not in set(recognizer.actions)]:
            raise ClaverError(f"{test.name} has class {missing[0]!r}, for which the recogniser has no text")
        if recognizer.relative and set(test.classes) != set(recognizer.actions):
            raise ClaverError(
                f"{test.name} has other classes than the recogniser; with the released arithmetic, a softmax over the "
                "competitors, evaluate such sets one by one"
            )


def _named(scores: npt.NDArray[np.float32], actions: Sequence[str]) -> dict[str, float]:
    return dict(zip(actions, scores.tolist(), strict=True))


def _known(recognizer: Answering, known: Mapping[str, Record]) -> dict[str, Record]:
    """Earlier records with scores of the recogniser's actions, in their order; without those of other competitors."""
    actions, relative = set(recognizer.actions), recognizer.relative
    records = {}
    for path, record in known.items():
        scores = record.get("scores", {})
        if actions == scores.keys() or (actions <= scores.keys() and not relative):
            row = np.asarray([scores[name] for name in recognizer.actions], dtype=np.float32)
            records[path] = {**record, "scores": row}
    return records


def _records(recognizer: Answering, paths: Sequence[str | ClipLocation], **settings: Any) -> Iterator[Record]:
    """The records of `evaluate`, with scores as an array [C] in the order of the actions, which takes less memory."""
    from claver.inference.encoder import Failure

    for result in recognizer.stream(paths, **settings):
        if isinstance(result, Failure):
            if result.by_model:
                raise ClaverError(result.error)
            yield {"path": result.source, "skipped" if result.skipped else "error": result.error}
            continue
        about = {
            "damaged": "" if result.damaged is None else str(result.damaged),
            "seconds": result.to_dict()["seconds"],
        }
        yield {"path": result.source, "scores": result.scores} | {key: value for key, value in about.items() if value}


def _pick(test: TestSet, records: Mapping[str, Record], columns: list[int], worded: Wording) -> Evaluation:
    """What the records say about one test set, whose classes have these columns of the scores."""
    skipped = {path: records[path]["skipped"] for path in test.paths if "skipped" in records[path]}
    test = _without(test, skipped)
    scores = np.full((len(test.paths), len(test.classes)), -np.inf, dtype=np.float32)
    for row, path in enumerate(test.paths):
        if "scores" in records[path]:
            scores[row] = records[path]["scores"][columns]

    def those_with(key: str) -> dict[str, Any]:
        return {path: records[path][key] for path in test.paths if key in records[path]}

    failures, damaged, seconds = those_with("error"), those_with("damaged"), those_with("seconds")
    return Evaluation(test, torch.from_numpy(scores), failures, damaged, skipped, seconds, worded)


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
