"""An evaluation over several test sets, from their files to the results; interrupted, the same call resumes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

from claver.data.opening import open_clips
from claver.data.parts import clips_for
from claver.distributed import rank_and_size, wait_for_all
from claver.errors import ClaverError
from claver.evaluation.gate import TAU, gate_of, gated
from claver.evaluation.predictions import predictions_text
from claver.evaluation.protocols import Evaluation, TestSet, by_benchmark, evaluate
from claver.evaluation.report import to_dict
from claver.files import write_whole
from claver.inference.answering import Answering
from claver.inference.jobs import Journal, Record
from claver.inference.peer_models import PeerModel
from claver.inference.peers import Peer
from claver.inference.recognizer import Recognizer, Views
from claver.json_text import to_json
from claver.models import Claver
from claver.text import Actions, texts_for
from claver.text.encoding import Progress
from claver.text.selection import own_actions
from claver.text.text_bank import TextBank


def read_tests(manifests: Sequence[Path], split: str | None = None) -> list[TestSet]:
    """The clips of manifests or folders of shards, as test sets that are called as their files are.

    Args:
        manifests: the files and folders.
        split: only clips of this split; if not given, those for testing, as in `TestSet.of`.

    Raises:
        ClaverError: one cannot be read, has no such clips, or has the same as another.
    """
    tests = []
    for path in manifests:
        clips = clips_for(open_clips(path), "testing", split, name=str(path))
        clips.manifest.warn()
        tests.append(TestSet.of(path.stem, clips, split=split))
    _require_unlike(manifests, tests)
    return tests


def _require_unlike(manifests: Sequence[Path], tests: Sequence[TestSet]) -> None:
    """Refuse a test set given twice: its standard deviation would be zero, and say nothing."""
    seen: dict[object, Path] = {}
    for path, test in zip(manifests, tests, strict=True):
        clips = frozenset(zip(map(os.path.abspath, test.paths), test.labels, strict=True))
        earlier = seen.setdefault((test.classes, clips), path)
        if earlier is not path:
            raise ClaverError(f"{path} holds the same clips as {earlier}, given before; give each test set once")


def among_learned(test: TestSet, model: Claver | PeerModel) -> TestSet:
    """With all classes that the model has learned as competitors, if the clips' are among them, as while it learned.

    The classes of a benchmark are its protocol: they stay what they are.
    """
    learned = () if model.learned is None else model.learned.names
    return test.among(learned) if not test.dataset and set(test.classes) <= set(learned) else test


def recognizers_for(
    tests: Sequence[TestSet],
    model: Claver | PeerModel,
    texts: str | None = None,
    *,
    views: Views | str | None = None,
    frames: int | None = None,
    compile: bool = False,
    gate: Actions | None = None,
    gate_tau: float = TAU,
    progress: Progress = lambda done, total: None,
) -> list[Answering]:
    """One for each benchmark, in the order of `by_benchmark`: each has its own classes, and its own texts for them.

    Classes that the model was trained on have the texts that it learned them by, unless others are requested.

    Args:
        tests: the test sets.
        model: the model, or a peer.
        texts: which texts, as in `claver.text.texts_for`.
        views: as in `Recognizer`.
        frames: as in `Recognizer`.
        compile: likewise; not for a peer, which runs as it is.
        gate: the actions of training, far from which the temporal tower is left out, see `claver.evaluation.gate`; not
            for a peer, nor a compiled model.
        gate_tau: the larger, the farther the gate stays open.
        progress: as in `Recognizer`.

    Raises:
        ClaverError: there are no texts for a class, a peer cannot take so many frames, or is to be compiled or gated.
    """
    if compile and isinstance(model, PeerModel):
        raise ClaverError("a peer runs as transformers runs it, and is not compiled")
    if gate is not None and (compile or isinstance(model, PeerModel)):
        raise ClaverError("a gate is for models of claver that are not compiled")
    competing = []
    for group in by_benchmark(tests):
        classes = list(dict.fromkeys(name for test in group for name in test.classes))
        if texts is None and isinstance(model, Claver) and model.learned and set(classes) <= set(model.learned.names):
            competing.append(own_actions(model).select(classes))
        else:
            competing.append(texts_for(classes, texts, dataset=group[0].benchmark))
    if isinstance(model, PeerModel):
        return [Peer(model, actions, views=views, frames=frames, progress=progress) for actions in competing]
    made: list[Answering] = [
        Recognizer(model, actions, views=views, frames=frames, unknown=False, compile=compile, progress=progress)
        for actions in competing
    ]
    return made if gate is None else [_gated(recognizer, gate, gate_tau) for recognizer in made]


def _gated(recognizer: Answering, trained: Actions, tau: float) -> Answering:
    assert isinstance(recognizer, Recognizer)
    model = recognizer.model
    recognizer.encoder.model = gated(model, gate_of(recognizer.bank, TextBank.encode(model, trained), tau))
    return recognizer


def digest(items: Sequence[TestSet] | Sequence[Actions]) -> str:
    """Of what test sets or actions hold, whatever their files are called."""
    held = repr([tuple(vars(item).values()) for item in items])
    return sha256(held.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def run_evaluation(
    recognizers: Sequence[Answering],
    tests: Sequence[TestSet],
    *,
    output: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    predictions: Path | None = None,
    csv_safe: bool = False,
    progress: Progress = lambda done, total: None,
    **loading: Any,
) -> list[Evaluation]:
    """Score every clip of all test sets, benchmark by benchmark, in however many processes.

    Args:
        recognizers: one for each benchmark; see `recognizers_for`.
        tests: the test sets.
        output: where all results are written as JSON; as long as they are not, `OUTPUT.partial` beside it, for each
            process one, holds what is done. Without an output nothing is kept.
        settings: what the results depend on, which `output` has as well; results of others are not gone on with.
        predictions: where each clip's label and best answers are written, .csv or .jsonl.
        csv_safe: as in `claver.csv_text.csv_text`.
        progress: called with the number of clips scored so far, and of all.
        loading: as in `evaluate`.

    Returns:
        The results in the order of the test sets, in every process.

    Raises:
        ClaverError: as `evaluate`; a file cannot be written; or the journal is of other settings or somebody else's.
    """
    rank, size = rank_and_size()
    groups, made_with = by_benchmark(tests), dict(settings or {})
    total = sum(len({path for test in group for path in test.paths}) for group in groups)
    found: dict[int, Evaluation] = {}
    with ExitStack() as stack:
        journal = None if output is None else stack.enter_context(_Journal(_of_rank(output, rank), made_with))
        if output is not None and journal is not None and rank == 0:
            journal.take_over(output, made_with)
        known = [{} if journal is None else journal.known(number) for number in range(len(groups))]
        done = sum(map(len, known))
        progress(done, total)
        for number, (recognizer, group) in enumerate(zip(recognizers, groups, strict=True)):

            def note(record: Record, number: int = number) -> None:
                nonlocal done
                done += size  # the other processes are about as far
                progress(done, total)
                if journal is not None:
                    journal.note(number, record)

            results = evaluate(recognizer, group, known=known[number], on_record=note, **loading)
            found |= {id(test): result for test, result in zip(group, results, strict=True)}
        evaluations = [found[id(test)] for test in tests]
        if rank == 0 and predictions is not None:
            write_whole(predictions, predictions_text(evaluations, predictions, csv_safe=csv_safe))
        if rank == 0 and output is not None:
            write_whole(output, to_json(to_dict(evaluations, made_with), indent=2))
        wait_for_all()  # no journal of another process may go before the results are written
        if journal is not None:
            journal.finish()
    return evaluations


class _Journal(Journal):
    """The journal of one process: a line has the results of a clip by the number of the benchmark."""

    def take_over(self, output: Path, settings: Mapping[str, Any]) -> None:
        """Bring in the journals of an interrupted run that had more processes."""
        rank = rank_and_size()[1]
        while (left := _of_rank(output, rank)).with_name(f"{left.name}.partial").exists():
            with Journal(left, settings) as other:
                for record in other.done.values():
                    self.add(record)
                other.finish()
            rank += 1

    def known(self, number: int) -> dict[str, Record]:
        """The clips with scores, as `evaluate` takes them; others are tried again."""
        known = {}
        for path, record in self.done.items():
            if not isinstance(scores := record["results"].get(str(number), ""), str):
                known[path] = {"path": path, "scores": scores, **_about(record)}
        return known

    def note(self, number: int, record: Record) -> None:
        """Keep what came of a clip beside what other benchmarks have of it."""
        result = record.get("scores") or record.get("error") or record["skipped"]
        earlier = self.done.get(record["path"], {})
        results = {**earlier.get("results", {}), str(number): result}
        self.add({"path": record["path"], "results": results, **_about(earlier), **_about(record)})


def _about(record: Record) -> Record:
    """What is known of a clip whatever the actions: its damage, and when the frames used are shown."""
    return {key: record[key] for key in ("damaged", "seconds") if key in record}


def _of_rank(output: Path, rank: int) -> Path:
    return output.with_name(f"{output.name}.{rank}") if rank else output
